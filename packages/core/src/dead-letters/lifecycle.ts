import { messageOf, SluiceError } from '../errors.ts'
import { type Clock, deadline } from '../runtime/clock.ts'
import type { DeadLetters } from './dead-letters.ts'

/** Each of them once, although several sinks may share one. */
export function distinct(
  ofJob: DeadLetters | undefined,
  ofSinks: ReadonlyMap<string, DeadLetters>,
): readonly DeadLetters[] {
  return [...new Set(ofJob === undefined ? ofSinks.values() : [ofJob, ...ofSinks.values()])]
}

/**
 * Makes sure that letters can be taken, before anything is read.
 *
 * @throws SluiceError `SLUICE_DEAD_LETTERS_FAILED`.
 */
export async function openDeadLetters(all: readonly DeadLetters[], clock: Clock, timeoutMs: number): Promise<void> {
  const { promise: expired, reject } = Promise.withResolvers<never>()
  const expiry = deadline(clock, timeoutMs, () =>
    reject(new Error(`no answer within ${timeoutMs} ms (deadLetterRetry.timeoutMs)`)),
  )
  try {
    await Promise.race([Promise.all(all.map(async (each) => each.open?.())), expired])
  } catch (error) {
    if (SluiceError.isInstance(error)) throw error
    throw new SluiceError('SLUICE_DEAD_LETTERS_FAILED', `dead letters cannot be opened: ${messageOf(error)}`, {
      cause: error,
      restartable: true,
    })
  } finally {
    expiry.cancel()
  }
}
