import { messageOf, SluiceError } from '../errors.ts'
import { type Clock, deadline } from '../runtime/clock.ts'
import { type DeadLetterDeliverMessage, traceDeadLetter } from '../runtime/tracing.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { DeadLetter } from './letter.ts'

/**
 * One try, with an end: when its time is up or the attempt of the job ends, its outcome is unknown and counts as failed.
 *
 * @param ended - aborts when the attempt of the job ends.
 * @returns why it failed; undefined when the letter is confirmed. Never rejects.
 */
export async function tryDelivery(
  target: DeadLetters,
  letter: DeadLetter,
  attempt: number,
  timeoutMs: number,
  clock: Clock,
  ended: AbortSignal,
): Promise<Error | undefined> {
  const abort = new AbortController()
  const { promise: over, resolve } = Promise.withResolvers<Error>()
  const stop = (error: Error): void => {
    resolve(error)
    abort.abort(error)
  }
  const expiry = deadline(clock, timeoutMs, () => {
    const message = `no answer within ${timeoutMs} ms (deadLetterRetry.timeoutMs)`
    stop(new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { restartable: true }))
  })
  const onEnd = (): void => stop(ended.reason as Error)
  ended.addEventListener('abort', onEnd, { once: true })
  const context = { signal: abort.signal, attempt }
  const delivered = traceDeadLetter(tracingMessage(letter), async () => target.deliver(letter, context)).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))),
  )
  try {
    return await Promise.race([delivered, over])
  } finally {
    expiry.cancel()
    ended.removeEventListener('abort', onEnd)
  }
}

function tracingMessage({ job, id, sink, stage, reason, origin }: DeadLetter): DeadLetterDeliverMessage {
  return {
    job,
    id,
    stage,
    code: reason.code,
    source: origin.source,
    split: origin.split,
    ...(sink === null ? {} : { sink }),
    ...(origin.position === null ? {} : { position: origin.position }),
  }
}
