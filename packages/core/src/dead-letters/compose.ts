import { messageOf } from '../errors.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Reason, Refusal } from '../sink/spi.ts'
import type { Origin } from '../tracker/run.ts'
import { fingerprint, letterId, type Occurrences } from './identity.ts'
import type { DeadLetter, DeadLetterOrigin } from './letter.ts'
import { render, shortened } from './render.ts'

const MAX_MESSAGE = 4096

/**
 * The letter of a refusal; undefined when nothing of the record would be in it: neither raw bytes nor value nor entry.
 *
 * @param sink - undefined for a refusal of decode or an operator.
 */
export function composeLetter(
  job: string,
  sink: string | undefined,
  refusal: Refusal,
  origin: Origin,
  clock: Clock,
  occurrences: Occurrences,
): DeadLetter | undefined {
  const { token, stage, reason, value, entry, attempts, firstFailedAt } = refusal
  const { raw } = origin
  if (raw === undefined && value === undefined && entry === undefined) return undefined
  const content = contentOf(refusal)
  const position = raw === undefined ? null : text(raw.position)
  const occurrence = occurrences.next(token, `${sink ?? ''} ${content}`)
  return {
    v: 1,
    id: letterId([job, origin.source, origin.splitId, position, sink ?? null, content, occurrence]),
    job,
    sink: sink ?? null,
    stage,
    reason: { code: text(reason.code), message: shortened(fullMessage(reason), MAX_MESSAGE) },
    origin: originOf(origin, position),
    raw: raw === undefined ? null : base64(raw.bytes),
    ...(value === undefined ? {} : { value: render(value) }),
    ...(entry === undefined ? {} : { entry: render(entry) }),
    attempts,
    firstFailedAt: isoTime(firstFailedAt, clock),
    ...(reason.requestId === undefined ? {} : { requestId: text(reason.requestId) }),
  }
}

/** What tells the refusals of one input in one sink apart: what was refused, never why or when. */
function contentOf({ entry, value }: Refusal): string {
  if (entry !== undefined) return fingerprint(entry)
  return value === undefined ? '' : fingerprint(value)
}

function originOf({ source, splitId, raw }: Origin, position: string | null): DeadLetterOrigin {
  const { key, headers, timestampMs } = raw ?? {}
  return {
    source,
    split: splitId,
    position,
    ...(key === undefined ? {} : { key: text(key) }),
    ...(headers === undefined ? {} : { headers: strings(headers) }),
    ...(Number.isFinite(timestampMs) ? { timestampMs: timestampMs as number } : {}),
  }
}

function strings(given: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, text(value)]))
}

/** A letter, unlike logs and errors, may quote the record, as what was thrown does. */
function fullMessage(reason: Reason): string {
  const message = text(reason.message)
  const { cause } = reason
  if (cause === undefined) return message
  let thrown: string
  try {
    thrown = messageOf(cause)
  } catch {
    return message
  }
  return message.includes(thrown) ? message : `${message}: ${thrown}`
}

/** Refusals carry monotonic time. */
function isoTime(monotonicMs: number | undefined, clock: Clock): string {
  const ageMs = monotonicMs === undefined || Number.isNaN(monotonicMs) ? 0 : clock.now() - monotonicMs
  return new Date(clock.wallNow() - ageMs).toISOString()
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Also where a connector in JavaScript gives something else: a letter must be readable again. */
function text(given: unknown): string {
  return typeof given === 'string' ? given : String(given)
}
