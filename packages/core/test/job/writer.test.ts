import { describe, expect, test } from 'vitest'
import { type DeadLetters, fromIterable, SluiceError, stream } from '../../src/index.ts'
import { failure, InMemorySource, options, range, settled, VirtualClock } from './harness.ts'
import { noting } from './noting-sink.ts'

const LETTERS: DeadLetters = { deliver: () => Promise.resolve() }

/** What the writer heard. */
async function asked(ofJob: DeadLetters | undefined, ofSink: DeadLetters | undefined): Promise<unknown> {
  const clock = new VirtualClock()
  const sink = noting()
  const job = stream(fromIterable([1]))
    .sinkTo(sink, ofSink === undefined ? {} : { deadLetters: ofSink })
    .start(options(clock, ofJob === undefined ? {} : { deadLetters: ofJob }))
  await settled(clock, job.done)
  return sink.hasDeadLetters
}

describe('a writer', () => {
  test('hears whether a record that it refuses has somewhere to go', async () => {
    expect(await asked(undefined, undefined)).toBe(false)
    expect(await asked(LETTERS, undefined)).toBe(true)
    expect(await asked(undefined, LETTERS)).toBe(true)
  })

  test('that fails to say when it has room ends the job with what it said', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(9))
    const cause = new Error('no word')
    const sink = noting(
      () => 2,
      () => Promise.reject(cause),
    )
    const job = stream(source).sinkTo(sink).start(options(clock))
    const error = await failure(clock, job.done)
    expect(error).toBeInstanceOf(SluiceError)
    expect(error).toMatchObject({ cause })
  })
})
