// What earlier versions of the package stored must restore: the fixtures were written by them and never change.
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { fileCheckpoints, silentLogger, stream } from '../../src/index.ts'
import { InMemorySink, InMemorySource, VirtualClock } from '../../src/testing.ts'
import { ended, failure, folder, recorder } from '../job/harness.ts'

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/checkpoints/${name}.checkpoint`, import.meta.url))

/** By fixture, the name that the file had. */
const NAMES = {
  'format-1/memory': 'checkpoint-000000000002.json',
  'format-1/kinesis': 'checkpoint-000000000042.json',
  'format-2/memory': 'checkpoint-00000001-000000000002.json',
} as const

function stateOf(name: keyof typeof NAMES): string {
  const root = folder()
  mkdirSync(join(root, 'hosts'))
  copyFileSync(fixture(name), join(root, 'hosts', NAMES[name]))
  return root
}

/** With the records of the job that wrote the fixture, and three more. */
function source(uid = 'memory'): InMemorySource<number> {
  const made = new InMemorySource<number>({ uid, splits: ['a', 'b'] })
  made.push('a', 1, 2, 3, 4, 5, 6)
  made.push('b', 10, 20, 30, 40)
  made.end()
  return made
}

describe('state of an earlier version', () => {
  test.each(['format-1/memory', 'format-2/memory'] as const)(
    '%s: a job goes on where it was, and stores in the format of now',
    async (name) => {
      const root = stateOf(name)
      const { logger } = recorder()
      const clock = new VirtualClock()
      const sink = new InMemorySink<number>()
      const job = stream(source())
        .sinkTo(sink)
        .start({ name: 'hosts', clock, logger, checkpoints: { storage: fileCheckpoints(root) } })
      await ended(clock, job, 10)
      expect(sink.stored.toSorted((a, b) => a - b)).toEqual([6, 30, 40])
      const names = readdirSync(join(root, 'hosts')).filter((each) => each.startsWith('checkpoint-'))
      expect(names).not.toContain(NAMES[name])
      expect(names.toSorted().at(-1)).toMatch(/^checkpoint-0000000[12]-000000000003\.json$/)
    },
  )

  test('format-1/kinesis: split states and the enumerator are given back as they were', async () => {
    await using store = await fileCheckpoints(stateOf('format-1/kinesis')).open('hosts', silentLogger)
    expect(await store.load()).toEqual({
      id: 42,
      job: 'hosts',
      createdAtMs: 1_767_225_605_000,
      sources: {
        'kinesis:readings': {
          stateVersion: 1,
          enumerator: {
            streamName: 'readings',
            streamCreatedMs: 1_767_000_000_000,
            start: { kind: 'AT_TIMESTAMP', timestampMs: 1_767_220_000_000 },
            listedMs: 1_767_225_600_000,
            waiting: [
              {
                splitId: 'shardId-000000000003',
                parentShardIds: ['shardId-000000000001'],
                position: { kind: 'TRIM_HORIZON' },
              },
            ],
            finishedShardIds: ['shardId-000000000000'],
            finishedAtMs: { 'shardId-000000000000': 1_767_225_000_000 },
          },
          splits: [
            {
              splitId: 'shardId-000000000001',
              parentShardIds: ['shardId-000000000000'],
              position: {
                kind: 'AFTER',
                sequenceNumber: '49590338271490256608559692538361571095921575989136588898',
                subSequenceNumber: 0,
                timestampMs: 1_767_225_600_000,
              },
              readUpToMs: 1_767_225_600_000,
            },
            {
              splitId: 'shardId-000000000002',
              parentShardIds: ['shardId-000000000000'],
              position: {
                kind: 'AFTER',
                sequenceNumber: '49590338271490256608559692540925702759324208523137515618',
                subSequenceNumber: 3,
                timestampMs: 1_767_225_600_000,
              },
              catchingUp: true,
            },
          ],
        },
      },
    })
  })

  test('of a source with another uid is refused, and stays', async () => {
    const root = stateOf('format-1/memory')
    const clock = new VirtualClock()
    const job = stream(source('other'))
      .sinkTo(new InMemorySink<number>())
      .start({ name: 'hosts', clock, checkpoints: { storage: fileCheckpoints(root) } })
    expect(await failure(clock, job.done, 10)).toMatchObject({
      code: 'SLUICE_STATE_UNKNOWN_UID',
      restartable: false,
      message: expect.stringMatching(/source\(s\) 'memory'.*source 'other': give the source its old uid/) as unknown,
    })
    await using store = await fileCheckpoints(root).open('hosts', silentLogger)
    expect(await store.load()).toMatchObject({ id: 2, sources: { memory: { splits: [{ next: 5 }, { next: 2 }] } } })
  })
})
