import { type Clock, delay } from './clock.ts'

/**
 * Waits for the work, but not longer than `waitMs` and not when the signal aborts; the work goes on.
 *
 * @returns false when the wait ended first. Rejects with the work.
 */
export async function within(
  clock: Clock,
  waitMs: number,
  work: Promise<unknown>,
  signal?: AbortSignal,
): Promise<boolean> {
  const done = new AbortController()
  const stopWaiting = (): void => done.abort()
  signal?.addEventListener('abort', stopWaiting, { once: true })
  if (signal?.aborted === true) stopWaiting()
  try {
    return await Promise.race([work.then(() => true), delay(clock, waitMs, done.signal).then(() => false)])
  } finally {
    signal?.removeEventListener('abort', stopWaiting)
    stopWaiting()
  }
}
