import { expect, test } from 'vitest'
import { parseArguments } from '../src/arguments.ts'

test('without arguments the demo runs 5000 records on local servers', () => {
  const parsed = parseArguments([])
  expect(parsed).toMatchObject({
    kind: 'run',
    options: { records: 5000, shards: 2, aws: false, collisions: 0, adminPort: 0 },
  })
})

test('every problem is reported at once, with option and value', () => {
  const parsed = parseArguments([
    '--records',
    'many',
    '--shards=0',
    '--stream',
    'a b',
    '--colour',
    'red',
    '--aws=yes',
    '--create',
    '--table',
  ])
  expect(parsed).toEqual({
    kind: 'problems',
    problems: [
      "unknown option '--colour'",
      "unexpected argument 'red'",
      "--aws takes no value, got 'yes'",
      '--table needs a value',
      "--records must be an integer from 1 to 10000000, got 'many'",
      "--shards must be an integer from 1 to 50, got '0'",
      "--stream must be 3 to 128 letters, digits, '_', '.' and '-', got 'a b'",
      '--create goes with --aws: local servers always create what is missing',
    ],
  })
})

test('more collisions than pairs are refused', () => {
  expect(parseArguments(['--records', '10', '--collisions', '5'])).toMatchObject({
    kind: 'problems',
    problems: ['--collisions must be at most 4 for 10 --records, got 5'],
  })
  expect(parseArguments(['--records', '10', '--collisions', '4'])).toMatchObject({ kind: 'run' })
})

test('--help wins over everything and names every option', () => {
  const parsed = parseArguments(['--help', '--colour'])
  expect(parsed.kind).toBe('help')
  const text = parsed.kind === 'help' ? parsed.text : ''
  for (const option of [
    '--records',
    '--shards',
    '--collisions',
    '--stream',
    '--database',
    '--table',
    '--aws',
    '--create',
    '--state',
    '--admin-port',
    '--verbose',
  ]) {
    expect(text).toContain(option)
  }
})
