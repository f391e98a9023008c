import type { EmittedHint } from './storage.ts'

/** Lies beside the checkpoints of a job. */
export const HINT_FILE = 'emitted.json'

const FORMAT = 1

export function encodeHint(hint: EmittedHint): string {
  return `${JSON.stringify({ format: FORMAT, ...hint })}\n`
}

/** Undefined for anything that is not a hint of this format: it is only a hint, and never worth a failure. */
export function decodeHint(text: string): EmittedHint | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { format, checkpointId, emitted } = value as Record<string, unknown>
  if (format !== FORMAT || !isCount(checkpointId) || typeof emitted !== 'object' || emitted === null) return undefined
  const counts = Object.entries(emitted as Record<string, unknown>).filter((entry): entry is [string, number] =>
    isCount(entry[1]),
  )
  return { checkpointId, emitted: Object.fromEntries(counts) }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
