import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { CAMPAIGNS } from '../src/campaigns.ts'
import { readCommand, UsageError } from '../src/command.ts'

function problemsOf(...args: string[]): readonly string[] {
  try {
    readCommand(args, CAMPAIGNS)
  } catch (error) {
    if (error instanceof UsageError) return error.problems
    throw error
  }
  return []
}

describe('command line', () => {
  test('a name alone runs the campaign in full, on its first pipeline, with a seed of its own', () => {
    const command = readCommand(['kill'], CAMPAIGNS)
    if (command.kind !== 'run') throw new Error(command.kind)
    const { pipeline, seed, size, sabotage } = command.options
    expect(pipeline.name).toBe('kinesis-timestream')
    expect(Number.isInteger(seed)).toBe(true)
    expect(size.faults).toBe(40)
    expect(sabotage).toBeUndefined()
  })

  test('all options', () => {
    const args = '--seed 7 kill --quick --faults 20 --records=500 --pipeline kinesis-timestream --sabotage ack-early'
    const command = readCommand(args.split(' '), CAMPAIGNS)
    expect(command).toMatchObject({
      kind: 'run',
      options: { seed: 7, size: { faults: 20, records: 500 }, sabotage: 'ack-early' },
    })
  })

  test('--quick plans fewer kills, and still two for every window', () => {
    const command = readCommand(['kill', '--quick'], CAMPAIGNS)
    expect(command).toMatchObject({ kind: 'run', options: { size: { faults: 16 } } })
  })

  test('--help and --list need no campaign', () => {
    expect(readCommand(['--help'], CAMPAIGNS).kind).toBe('help')
    expect(readCommand(['--list'], CAMPAIGNS).kind).toBe('list')
  })

  test('every problem is named at once, with the names that are known', () => {
    const args = '--seed x --fast --faults 3 --pipeline nowhere --sabotage rain kill --records'
    expect(problemsOf(...args.split(' '))).toEqual([
      expect.stringMatching(/unknown option --fast; known options: --pipeline, --seed/),
      '--records needs a value',
      "--seed must be a whole number from 0 to 4294967295, got 'x'",
      "unknown pipeline 'nowhere'; known pipelines of kill: kinesis-timestream, memory-prefix, memory-individual, memory-external",
      "unknown sabotage 'rain'; known sabotages of kill: ack-early, skip-flush",
    ])
  })

  test.each([
    [[], expect.stringMatching(/^a campaign is needed; known campaigns: kill/)],
    [['explode'], expect.stringMatching(/^unknown campaign 'explode'; known campaigns: kill/)],
    [['kill', 'storm'], 'only one campaign at a time, got also storm'],
    [['kill', '--quick=yes'], "--quick takes no value, got 'yes'"],
    [['kill', '--seed', '1', '--seed', '2'], '--seed is given twice'],
    [['kill', '--seed', '--quick'], '--seed needs a value'],
    [['kill', '--faults', '20', '--records', '100'], expect.stringContaining('--records must be at least 20 for each')],
  ])('%j is refused', (args, problem) => {
    expect(problemsOf(...args)).toContainEqual(problem)
  })

  test('wrong arguments end the program with 2 before anything is started', async () => {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
    const failed = promisify(execFile)(process.execPath, [main, 'explode', '--fast'])
    await expect(failed).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/unknown option --fast.*\n.*unknown campaign 'explode'; known campaigns: kill/),
    })
  })
})
