import type { DeadLetter } from './letter.ts'

/** What a letter was made of, as a source would give it again. */
export interface DeadLetterRecord {
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly timestampMs?: number
  /** The record's raw bytes. */
  readonly bytes: Buffer
  /** Why it was refused, where it came from, its id. */
  readonly letter: DeadLetter
}

/** Undefined for a letter without raw bytes. */
export function deadLetterRecord(letter: DeadLetter): DeadLetterRecord | undefined {
  const { raw, origin } = letter
  if (raw === null) return undefined
  const { key, headers, timestampMs } = origin
  return {
    ...(key === undefined ? {} : { key }),
    ...(headers === undefined ? {} : { headers }),
    ...(timestampMs === undefined ? {} : { timestampMs }),
    bytes: Buffer.from(raw, 'base64'),
    letter,
  }
}
