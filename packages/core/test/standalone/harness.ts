import { onTestFinished } from 'vitest'
import { fail } from 'node:assert/strict'
import { type Message, messages, type Messages, type MessagesOptions, SluiceError } from '../../src/index.ts'
import type { Source, SourceSplit } from '../../src/index.ts'
import type { VirtualClock } from '../../src/testing.ts'
import { settled } from '../job/harness.ts'

/** Messages on virtual time; closed when the test ends. */
export function reading<T, Split extends SourceSplit, State>(
  source: Source<T, Split, State>,
  given: MessagesOptions & { readonly clock: VirtualClock },
): Messages<T> {
  const read = messages(source, given)
  onTestFinished(async () => {
    await settled(given.clock, read.close()).catch(() => undefined)
  })
  return read
}

/** The next messages, as many as said. */
export async function pull<T>(clock: VirtualClock, read: Messages<T>, count: number): Promise<Message<T>[]> {
  const pulled: Message<T>[] = []
  while (pulled.length < count) {
    const result = await settled(clock, read.next(), 0)
    if (result.done === true) fail(`the messages ended after ${pulled.length}`)
    pulled.push(result.value)
  }
  return pulled
}

/** What the promise rejects with. */
export async function rejection(clock: VirtualClock, promise: Promise<unknown>): Promise<SluiceError> {
  const outcome = await settled(clock, promise).then(
    () => undefined,
    (error: unknown) => error,
  )
  return SluiceError.isInstance(outcome) ? outcome : fail(`not a SluiceError: ${String(outcome)}`)
}
