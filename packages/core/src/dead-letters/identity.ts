import { createHash, type Hash } from 'node:crypto'

const MAX_DEPTH = 64
const ID_LENGTH = 32

/** A stable name for what the parts say together; the place of each part counts. */
export function letterId(parts: readonly (string | number | null)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, ID_LENGTH)
}

/**
 * A hash of everything that a value holds, whatever its size: it tells the entries of one input apart in the same way at every
 * repeat, which their order of refusal does not. Never throws.
 */
export function fingerprint(value: unknown): string {
  const hash = createHash('sha256')
  feed(hash, value, new Set())
  return hash.digest('hex')
}

function feed(hash: Hash, value: unknown, above: Set<object>): void {
  if (typeof value !== 'object' || value === null) {
    const text = typeof value === 'function' || typeof value === 'symbol' ? '' : String(value)
    hash.update(`${typeof value} ${text.length} ${text}\n`)
    return
  }
  if (above.has(value) || above.size >= MAX_DEPTH) {
    hash.update('above\n')
    return
  }
  above.add(value)
  try {
    feedObject(hash, value, above)
  } catch {
    hash.update('unreadable\n')
  }
  above.delete(value)
}

function feedObject(hash: Hash, value: object, above: Set<object>): void {
  if (ArrayBuffer.isView(value)) {
    hash.update(`bytes ${value.byteLength}\n`)
    hash.update(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    return
  }
  const toJson: unknown = Reflect.get(value, 'toJSON')
  if (typeof toJson === 'function') return feed(hash, Reflect.apply(toJson, value, []), above)
  if (Array.isArray(value) || value instanceof Set || value instanceof Map) {
    hash.update('list\n')
    for (const item of value) feed(hash, item, above)
  } else {
    hash.update('object\n')
    for (const name of Object.keys(value)) {
      hash.update(`${JSON.stringify(name)}\n`)
      feed(hash, Reflect.get(value, name), above)
    }
  }
  hash.update('end\n')
}

/**
 * Numbers the refusals of one input that look the same: equal entries, or several values that a converter refused. The order in
 * which they are refused is then the same at every repeat, or makes no difference.
 */
export class Occurrences {
  readonly #counts = new Map<number, Map<string, number>>()
  readonly #isSettled: (token: number) => boolean
  #sweepAt = 4096

  /** @param isSettled - nothing more can be refused of that input. */
  constructor(isSettled: (token: number) => boolean) {
    this.#isSettled = isSettled
  }

  /** How many of these there were before. */
  next(token: number, key: string): number {
    let counts = this.#counts.get(token)
    if (counts === undefined) {
      if (this.#counts.size >= this.#sweepAt) this.#sweep()
      counts = new Map()
      this.#counts.set(token, counts)
    }
    const before = counts.get(key) ?? 0
    counts.set(key, before + 1)
    return before
  }

  #sweep(): void {
    for (const token of this.#counts.keys()) if (this.#isSettled(token)) this.#counts.delete(token)
    this.#sweepAt = Math.max(4096, this.#counts.size * 2)
  }
}
