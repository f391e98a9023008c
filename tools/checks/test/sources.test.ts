import { expect, test } from 'vitest'

import { MAX_SOURCE_LINES, tooLong, traces } from '../src/checks/sources.ts'

test('a file may have as many lines as the limit, and no more', () => {
  expect(tooLong('a.ts', 'x\n'.repeat(MAX_SOURCE_LINES))).toEqual([])
  expect(tooLong('a.ts', 'x\n'.repeat(MAX_SOURCE_LINES + 1))).toEqual([`a.ts: ${MAX_SOURCE_LINES + 1} lines`])
})

test('finds the configured registry and the paths of a machine, with their lines', () => {
  // In parts, so that this file passes the check.
  const path = ['', 'root', ''].join('/')
  const text = ['fine', 'see https://mirror.example/x', `cd ${path}x`, 'a/work/b'].join('\n')
  expect(traces('a.md', text, ['mirror.example'])).toEqual(['a.md:2: mirror.example', `a.md:3: ${path}`])
})
