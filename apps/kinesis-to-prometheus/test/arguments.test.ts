import { expect, test } from 'vitest'
import { parseArguments } from '../src/arguments.ts'

test('without arguments the demo runs 2000 records', () => {
  expect(parseArguments([])).toStrictEqual({
    kind: 'run',
    options: { records: 2000, shards: 2, adminPort: 0, verbose: false },
  })
})

test('every problem is reported at once, with option and value', () => {
  expect(
    parseArguments(['--records', 'many', '--shards=0', '--colour', 'red', '--verbose=yes', '--admin-port']),
  ).toEqual({
    kind: 'problems',
    problems: [
      "unknown option '--colour'",
      "unexpected argument 'red'",
      "--verbose takes no value, got 'yes'",
      '--admin-port needs a value',
      "--records must be an integer from 1 to 1000000, got 'many'",
      "--shards must be an integer from 1 to 50, got '0'",
    ],
  })
})

test('--help wins over everything and names every option', () => {
  const parsed = parseArguments(['--help', '--colour'])
  const text = parsed.kind === 'help' ? parsed.text : ''
  for (const option of ['--records', '--shards', '--admin-port', '--verbose']) expect(text).toContain(option)
})
