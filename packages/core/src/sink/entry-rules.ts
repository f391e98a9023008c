import type { Reason } from './spi.ts'

/** A sum with NaN would never again compare as full or as empty. */
export function measured(what: string, value: number | undefined): number {
  if (value !== undefined && value >= 0 && value < Number.POSITIVE_INFINITY) return value
  throw new RangeError(`${what} must give a number from 0 up, got ${String(value)}`)
}

export function named(destination: unknown): string {
  if (typeof destination === 'string') return destination
  throw new TypeError(`destination must give a string, got ${typeof destination}`)
}

export function keyed(key: unknown): number {
  if (typeof key === 'number' && Number.isSafeInteger(key) && key >= 0) return key
  throw new RangeError(`orderKey must give an integer from 0 to 2^53 - 1, got ${String(key)}`)
}

/**
 * An asynchronous conversion would emit after its value was counted: its entries would belong to another. A generator does nothing
 * until it is asked, so that its value would count as filtered out.
 */
export function refuseReturned(returned: unknown): void {
  if (typeof returned !== 'object' || returned === null) return
  if ('next' in returned) throw new TypeError('convert is a generator: it must call emit instead of yielding')
  if (!('then' in returned)) return
  // Its failure has no other reader.
  Promise.resolve(returned).catch(() => undefined)
  throw new TypeError('convert is asynchronous: it must emit before it returns; use mapAsync for look-ups')
}

export function recordTooLarge(sizeInBytes: number, allowed: number): Reason {
  return { code: 'recordTooLarge', message: `${sizeInBytes} bytes, allowed are ${allowed} (maxRecordSizeInBytes)` }
}
