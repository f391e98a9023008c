import { inspect } from 'node:util'
import { expect, test } from 'vitest'

import { messageOf, SluiceError } from '../src/errors.ts'
import { consoleLogger } from '../src/logger.ts'
import { isSecret, Secret } from '../src/secret.ts'

const secret = new Secret('hunter2')
// As a program that is not type-checked would use it.
const asText = secret as unknown as string

test('reveal gives the value back, and nothing else does', () => {
  expect(secret.reveal()).toBe('hunter2')
  const lines: string[] = []
  consoleLogger({ write: (line) => void lines.push(line) }).error({ secret, nested: { secret } }, `with ${asText}`)
  const shown = [
    String(secret),
    `as ${asText}`,
    secret.toString(),
    JSON.stringify({ secret, list: [secret] }),
    inspect(secret),
    inspect({ deep: { deeper: [secret] } }, { depth: null, showHidden: true, getters: true }),
    inspect(secret, { customInspect: false, showHidden: true }),
    messageOf(secret),
    messageOf({ secret }),
    inspect(new SluiceError('SLUICE_INTERNAL', 'x', { facts: { secret }, cause: secret })),
    JSON.stringify(Object.entries(secret)),
    JSON.stringify(Object.assign({}, secret)),
    ...lines,
  ]
  for (const text of shown) expect(text).not.toContain('hunter2')
  expect(`as ${asText}`).toBe('as [secret]')
  expect(inspect({ secret })).toBe('{ secret: [secret] }')
  expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}')
})

test('is recognised across copies of the package', () => {
  expect(isSecret(secret)).toBe(true)
  expect(isSecret({ [Symbol.for('sluice.secret')]: true })).toBe(true)
  for (const other of ['hunter2', null, undefined, {}, { reveal: () => '' }]) expect(isSecret(other)).toBe(false)
})
