import { expect, test } from 'vitest'
import { MUTANTS, VARIANTS } from '../src/catalogue.ts'
import { type Command, readCommand, UsageError } from '../src/command.ts'

function names(command: Command): { variants: string[]; mutants: string[]; complete: boolean } {
  if (command.kind !== 'run') throw new Error(`${command.kind} does not run`)
  const { variants, mutants, complete } = command
  return { variants: variants.map(({ name }) => name), mutants: mutants.map(({ name }) => name), complete }
}

test('without options everything is run that does not take minutes', () => {
  expect(names(readCommand([]))).toEqual({
    variants: VARIANTS.filter(({ deep }) => deep !== true).map(({ name }) => name),
    mutants: MUTANTS.map(({ name }) => name),
    complete: true,
  })
})

test('--deep adds the long ones', () => {
  expect(names(readCommand(['--deep'])).variants).toEqual(VARIANTS.map(({ name }) => name))
})

test('one kind alone leaves the other out, and the search is then not complete', () => {
  expect(names(readCommand(['--mutant', 'ack-early', '--mutant=skip-flush']))).toEqual({
    variants: [],
    mutants: ['ack-early', 'skip-flush'],
    complete: false,
  })
  expect(names(readCommand(['--variant', 'prefix']))).toEqual({ variants: ['prefix'], mutants: [], complete: false })
  expect(names(readCommand(['--mutant', 'none']))).toMatchObject({ mutants: [], complete: true })
})

test('a long variant may be named without --deep', () => {
  expect(names(readCommand(['--variant', 'prefix-deep'])).variants).toEqual(['prefix-deep'])
})

test('every problem of a command line is reported at once', () => {
  const args = ['--mutant', 'ack-late', '--variant', 'sideways', '--jobs', '0', '--fast', 'now']
  expect(() => readCommand(args)).toThrow(UsageError)
  const problems = expect.arrayContaining([
    expect.stringContaining(`unknown mutant 'ack-late'; there are: ack-early`),
    expect.stringContaining(`unknown variant 'sideways'; there are: checkpoint`),
    '--jobs must be a whole number from 1 to 64',
    `unknown option '--fast'`,
    `unexpected argument 'now'`,
  ])
  expect(() => readCommand(args)).toThrow(expect.objectContaining({ problems }))
})

test('an option without its value is a problem', () => {
  expect(() => readCommand(['--mutant'])).toThrow('--mutant needs a name')
})
