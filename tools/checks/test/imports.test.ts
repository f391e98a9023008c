import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { importProblems, importSpecifiers } from '../src/checks/imports.ts'
import { readWorkspace } from '../src/workspace.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-imports-'))
})

afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

function put(path: string, content: string | object): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content))
}

function problems(): string[] {
  return importProblems(readWorkspace(root))
}

test('follows the arrows without complaint', () => {
  put('packages/core/package.json', { name: '@sluice/core' })
  put('packages/core/src/index.ts', `export * from './job.ts'\n`)
  put('packages/core/src/job.ts', `import type { Readable } from 'node:stream'\n`)
  put('packages/kinesis/package.json', {
    name: '@sluice/kinesis',
    dependencies: { '@sluice/core': 'workspace:^', '@aws-sdk/client-kinesis': '3.0.0' },
    devDependencies: { '@sluice/testkit': 'workspace:*', 'fast-check': '4.0.0' },
  })
  put('packages/kinesis/src/index.ts', `import { x } from '@sluice/core'\nimport { y } from '@sluice/core/internal'\n`)
  put(
    'packages/kinesis/test/a.test.ts',
    `import { k } from '@sluice/core/testing'\nimport { s } from '@sluice/testkit'\n`,
  )
  put('apps/demo/package.json', { name: '@sluice/app-demo', dependencies: { '@sluice/kinesis': 'workspace:*' } })
  put('tools/bench/package.json', { name: '@sluice/bench', dependencies: { '@sluice/core': 'workspace:*' } })
  expect(problems()).toEqual([])
})

test.each([
  ['a connector that imports a connector', `import { sink } from '@sluice/timestream'`, '@sluice/timestream'],
  ['a type import of a connector', `import type { Sink } from '@sluice/timestream'`, '@sluice/timestream'],
  ['a dynamic import of a connector', `await import('@sluice/timestream')`, '@sluice/timestream'],
  ['the test kit in published code', `import '@sluice/testkit'`, '@sluice/testkit'],
  ['test helpers of core in published code', `export * from '@sluice/core/testing'`, 'testing is for tests'],
  ['a path into another package', `export * from '../../core/src/index.ts'`, 'leaves the package'],
  ['a path out of src', `export * from '../test/fake.ts'`, 'src imports only src'],
  ['its own name', `export * from '@sluice/kinesis'`, 'does not import itself'],
])('refuses %s', (_what, source, said) => {
  put('packages/kinesis/package.json', { name: '@sluice/kinesis' })
  put('packages/kinesis/src/index.ts', source)
  expect(problems()).toEqual([expect.stringContaining(said)])
})

test.each([
  ['a dependency of core', '@sluice/core', { dependencies: { undici: '8.0.0' } }],
  ['the client of another service', '@sluice/kinesis', { dependencies: { '@aws-sdk/client-sqs': '3.0.0' } }],
  ['a connector as a peer', '@sluice/kinesis', { peerDependencies: { '@sluice/timestream': '^0.1.0' } }],
  ['a connector in tests', '@sluice/kinesis', { devDependencies: { '@sluice/timestream': 'workspace:*' } }],
  ['the test kit as a dependency', '@sluice/kinesis', { dependencies: { '@sluice/testkit': 'workspace:*' } }],
  ['tools in tests', '@sluice/kinesis', { devDependencies: { '@sluice/campaigns': 'workspace:*' } }],
  ['core in the test kit', '@sluice/testkit', { dependencies: { '@sluice/core': 'workspace:*' } }],
  ['a package without a rule', '@sluice/new', {}],
])('refuses %s in a manifest', (_what, name, manifest) => {
  put('packages/some/package.json', { name, ...manifest })
  expect(problems()).toHaveLength(1)
})

test('refuses tools in apps and in tools', () => {
  put('tools/bench/package.json', { name: '@sluice/bench' })
  put('apps/demo/package.json', { name: '@sluice/app-demo', devDependencies: { '@sluice/bench': 'workspace:*' } })
  expect(problems()).toEqual([expect.stringContaining('nobody imports tools')])
})

test('reads every form of import', () => {
  const source = `
    import a from 'a'
    import type { b } from "b"
    import 'c'
    export * from 'd'
    const e = await import('e')
    type F = import('f').F
    const g = require('g')
    import {
      h,
    } from 'h'
  `
  expect(importSpecifiers(source)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
})
