import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import {
  COMPILERS,
  execute,
  installAlone,
  installBeside,
  installed,
  optionalPeers,
  typeCheck,
  unasked,
  type Consumer,
  type Installed,
} from '../src/publish/consumer.ts'
import { readmeExample, type ReadmeExample } from '../src/publish/readme-example.ts'
import { startRegistry, type LocalRegistry } from '../src/publish/registry.ts'
import { releaseTo, releasedWith } from '../src/publish/release.ts'
import { startServers } from '../src/publish/servers.ts'
import { ROOT, publicEntries, publishedPackages, type Manifest } from '../src/workspace.ts'

const MINUTE_MS = 60_000

let temporary: string
let registry: LocalRegistry
let versions: ReadonlyMap<string, string>

beforeAll(async () => {
  temporary = mkdtempSync(join(tmpdir(), 'sluice-publish-'))
  registry = await startRegistry(join(temporary, 'registry'))
  versions = await releaseTo(registry.url, ROOT, join(temporary, 'release'))
}, 3 * MINUTE_MS)

afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(temporary, { recursive: true, force: true })
})

describe.each(publishedPackages())('$name, installed alone', ({ name, path, manifest }) => {
  let consumer: Consumer
  let example: ReadmeExample
  let brought: Installed
  const besides = publicEntries(manifest).filter(({ subpath }) => subpath !== '.')

  beforeAll(async () => {
    example = readmeExample(readFileSync(join(path, 'README.md'), 'utf8'))
    const folder = join(temporary, 'consumers', name)
    consumer = await installAlone(folder, name, versions.get(name) ?? 'unpublished', registry.url)
    brought = installed(consumer)
    await installBeside(
      consumer,
      example.beside.map((each) => `${each}@${versionUsedBy(path, each)}`),
    )
  }, 5 * MINUTE_MS)

  test('brings nothing that was not asked for', () => {
    expect(brought.names).toContain(name)
    expect(unasked(name, brought.names)).toEqual([])
    expect(brought.withInstallScript).toEqual([])
  })

  test('resolves no module outside what it may stand on', { timeout: 2 * MINUTE_MS }, async () => {
    const { result, modules, packages, outside } = await execute(consumer, 'import.mjs', `import '${name}'\n`)
    expect(result.output).toBe('')
    expect(result.code).toBe(0)
    expect(packages).toContain(name)
    expect(unasked(name, packages)).toEqual([])
    expect(outside).toEqual([])
    expect(modules.filter((url) => besides.some(({ types }) => url.endsWith(moduleOf(types))))).toEqual([])
  })

  test('imports every entry without the packages that are optional', { timeout: 2 * MINUTE_MS }, async () => {
    for (const { subpath } of besides) {
      const { result, packages } = await execute(consumer, 'import.mjs', `import '${name}${subpath.slice(1)}'\n`)
      expect(result).toMatchObject({ code: 0, output: '' })
      expect(unasked(name, packages)).toEqual([])
    }
  })

  test("runs its README's example", { timeout: 2 * MINUTE_MS }, async () => {
    await using servers = await startServers(example.needs)
    const { result, packages, outside } = await execute(consumer, 'example.ts', example.code, servers.env)
    expect(result).toMatchObject({ code: 0, timedOut: false })
    expect(packages).toContain(name)
    expect(outside).toEqual([])
  })

  test('type checks its main entry without the packages that are optional', { timeout: 2 * MINUTE_MS }, async () => {
    expect(await typeErrors(consumer, 'typescript-7', [{ subpath: '.' }], example)).toMatch(ONLY_WRONG)
  })

  describe('with the packages that are optional', () => {
    beforeAll(async () => {
      const peers = optionalPeers(consumer).filter((peer) => !brought.names.includes(peer))
      await installBeside(
        consumer,
        peers.map((peer) => `${peer}@${versionUsedBy(path, peer)}`),
      )
    }, 5 * MINUTE_MS)

    test.each(COMPILERS)(
      'type checks under %s, declarations included',
      { timeout: 2 * MINUTE_MS },
      async (compiler) => {
        expect(await typeErrors(consumer, compiler, publicEntries(manifest), example)).toMatch(ONLY_WRONG)
      },
    )
  })
})

/** The one error that shows that the compiler did look. */
const ONLY_WRONG = /^wrong\.ts\(1,10\): error TS2305: [^\n]* has no exported member 'nothing'\.\n$/

async function typeErrors(
  consumer: Consumer,
  compiler: (typeof COMPILERS)[number],
  entries: readonly { readonly subpath: string }[],
  { code }: ReadmeExample,
): Promise<string> {
  const { folder, subject } = consumer
  const exported = entries.map(({ subpath }) => `export * from '${subject}${subpath.slice(1)}'\n`)
  writeFileSync(join(folder, 'entries.ts'), exported.join(''))
  writeFileSync(join(folder, 'example.ts'), code)
  writeFileSync(join(folder, 'wrong.ts'), `import { nothing } from '${subject}'\n\nnothing()\n`)
  const { output } = await typeCheck(consumer, compiler, ['entries.ts', 'example.ts', 'wrong.ts'])
  return output
}

/** `./dist/testing.d.ts` declares `dist/testing.js`. */
function moduleOf(types: string): string {
  return types.slice(1).replace(/\.d\.ts$/, '.js')
}

describe('a changeset for one package', () => {
  test('at the end of the arrows releases that package only', { timeout: MINUTE_MS }, async () => {
    const released = await releasedWith('@sluice/timestream', 'minor', ROOT, join(temporary, 'leaf'))
    expect(released).toEqual(['@sluice/timestream'])
  })

  test('at their root releases it and what stands on it', { timeout: MINUTE_MS }, async () => {
    const released = await releasedWith('@sluice/core', 'minor', ROOT, join(temporary, 'root'))
    expect(released).toEqual(withDependants('@sluice/core'))
    expect(released).toContain('@sluice/timestream')
    expect(released).not.toContain('@sluice/timestream-local')
  })
})

function withDependants(name: string): string[] {
  return publishedPackages()
    .filter((each) => each.name === name || each.manifest.dependencies?.[name] !== undefined)
    .map((each) => each.name)
}

function versionUsedBy(path: string, dependency: string): string {
  const manifest: Manifest = JSON.parse(readFileSync(join(path, 'node_modules', dependency, 'package.json'), 'utf8'))
  return manifest.version
}
