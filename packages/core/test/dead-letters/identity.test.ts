import { describe, expect, test } from 'vitest'
import { type DeadLetter, type Job, memoryCheckpoints, stream } from '../../src/index.ts'
import { ended, InMemorySink, InMemorySource, options, range, start, until, VirtualClock } from '../job/harness.ts'
import { Letters, refuse, refusing } from './harness.ts'

interface Run {
  readonly letters: Letters
  readonly sink: InMemorySink<string>
}

/** Dead letters are confirmed, then the process dies before a checkpoint; everything is read again by the next. */
async function killedThenRepeated(sink: InMemorySink<string>): Promise<Run> {
  const letters = new Letters()
  const storage = memoryCheckpoints()
  const source = new InMemorySource<number>({ splits: ['a', 'b'] })
  source.push('a', 1, 2)
  source.push('b', 1, 2)
  const run = async (expected: number): Promise<Job> => {
    const clock = new VirtualClock()
    const job = stream(source)
      .flatMap((value) => [`${value}x`, `${value}y`, `${value}x`, `${value}z`])
      .sinkTo(sink)
      .start(options(clock, { deadLetters: letters, checkpoints: { storage } }))
    await until(clock, () => letters.stored.length === expected, 100)
    return job
  }
  // Never drained nor closed: a killed process says nothing.
  await run(16)
  await run(32)
  return { letters, sink }
}

const byEntry = (part: readonly DeadLetter[]): string[] =>
  part.map(({ id, entry, origin }) => `${origin.split} ${String(entry)} ${id}`).toSorted()

describe('the id of a letter', () => {
  test('is the same when the process was killed after the delivery, for every entry of every input', async () => {
    const { letters } = await killedThenRepeated(refusing<string>(() => true))
    const [first, second] = [letters.ids.slice(0, 16), letters.ids.slice(16)]
    expect(new Set(first).size).toBe(16)
    expect(second.toSorted()).toEqual(first.toSorted())
  })

  test('does not depend on the order in which the store refuses, nor on what it says', async () => {
    let tries = 0
    const sink = new InMemorySink<string>({
      maxBatchSize: 4,
      onSubmit: ({ entries }) => ({
        entries: entries.map((entry) =>
          // In the first run x is refused at once and the rest later, in the second run the other way round.
          (tries++ < 32 ? entry.endsWith('x') : !entry.endsWith('x')) || tries % 7 === 0
            ? refuse(`reason ${tries}`)
            : { kind: 'retry', reason: { code: 'later', message: 'later' } },
        ),
      }),
    })
    const { letters } = await killedThenRepeated(sink)
    expect(byEntry(letters.stored.slice(16))).toEqual(byEntry(letters.stored.slice(0, 16)))
    expect(letters.stored.slice(16).map(({ entry }) => entry)).not.toEqual(
      letters.stored.slice(0, 16).map(({ entry }) => entry),
    )
  })

  test('differs between jobs, sources, splits, positions and sinks', async () => {
    const ids: string[] = []
    for (const [name, uid, split, before, sink] of [
      ['job', 'source', 'a', 0, 'sink'],
      ['other', 'source', 'a', 0, 'sink'],
      ['job', 'other', 'a', 0, 'sink'],
      ['job', 'source', 'b', 0, 'sink'],
      ['job', 'source', 'a', 1, 'sink'],
      ['job', 'source', 'a', 0, 'other'],
    ] as const) {
      const clock = new VirtualClock()
      const source = new InMemorySource<number>({ uid, splits: ['a', 'b'] })
      source.push(split, ...range(before), 5)
      source.end()
      const deadLetters = new Letters()
      await ended(
        clock,
        start(
          source,
          refusing<number>((value) => value === 5, sink),
          clock,
          { name, deadLetters },
        ),
      )
      ids.push(...deadLetters.ids)
    }
    expect(new Set(ids).size).toBe(6)
  })
})
