import { payloadHash, seededRandom } from '@sluice/core/testing'
import type { GeneratedRecord } from '../campaign.ts'

const KEYS = 12

/** What the hash of a record is taken of: everything that a store is to keep. */
export function ledgerPayload(payload: string, timeMs: number): string {
  return `${timeMs} ${payload}`
}

/** Makes the records of a run: the same seed gives the same ones, but for their time. */
export class Generator {
  readonly #source: string
  readonly #random: () => number
  readonly #startMs: number
  readonly #keys: number
  readonly #sequences = new Map<string, number>()

  /** @param startMs - time of the first record of each key. */
  constructor(seed: number, startMs: number, keys: number = KEYS) {
    this.#source = `campaign-${seed}`
    this.#random = seededRandom(seed)
    this.#startMs = startMs
    this.#keys = keys
  }

  /** @param number - of the key. @default one that the seed chooses */
  next(number: number = Math.trunc(this.#random() * this.#keys)): GeneratedRecord {
    const key = `key-${number}`
    const sequence = (this.#sequences.get(key) ?? 0) + 1
    this.#sequences.set(key, sequence)
    const length = 8 + Math.trunc(this.#random() * 40)
    const payload = Array.from({ length }, () => Math.trunc(this.#random() * 36).toString(36)).join('')
    const timeMs = this.#startMs + sequence
    return { source: this.#source, key, sequence, hash: payloadHash(ledgerPayload(payload, timeMs)), payload, timeMs }
  }
}
