import type { WriteBatch } from '../sink/spi.ts'

const INITIAL_CAPACITY = 256

/**
 * Values on their way to the sinks, in columns. It is filled and emptied again and again; `keys` is there only in a pipeline with
 * `keyBy`.
 */
export class Chunk {
  /** Of these, the first `length` count. */
  readonly values: unknown[] = []
  tokens: Float64Array<ArrayBuffer> = new Float64Array(INITIAL_CAPACITY)
  byteLengths: Uint32Array<ArrayBuffer> = new Uint32Array(INITIAL_CAPACITY)
  keys: Float64Array<ArrayBuffer> | undefined
  length: number = 0
  #batch: WriteBatch<unknown> | undefined

  constructor(keyed: boolean) {
    this.keys = keyed ? new Float64Array(INITIAL_CAPACITY) : undefined
  }

  push(value: unknown, key: number): void {
    const at = this.length++
    this.values[at] = value
    if (this.keys === undefined) return
    if (at === this.keys.length) this.keys = grown(this.keys, new Float64Array(at * 2))
    this.keys[at] = key
  }

  /** Forgets what was pushed from here on. */
  cutTo(length: number): void {
    this.length = length
  }

  /** Says where `count` values come from: the first carries the bytes of the input. */
  describe(from: number, count: number, token: number, byteLength: number): void {
    for (let at = from; at < from + count; at++) {
      this.tokens[at] = token
      this.byteLengths[at] = 0
    }
    if (count > 0) this.byteLengths[from] = byteLength
  }

  /** As {@link Chunk.describe} for records `first` to `end` of a batch that became one value each. */
  describeEach(from: number, token: number, byteLengths: Uint32Array, first: number, end: number): void {
    const { tokens } = this
    for (let at = 0; at < end - first; at++) {
      tokens[from + at] = token + at
      this.byteLengths[from + at] = byteLengths[first + at] ?? 0
    }
  }

  /** Makes room to describe all values. */
  fit(): void {
    const { length } = this
    if (length <= this.tokens.length) return
    this.tokens = grown(this.tokens, new Float64Array(length * 2))
    this.byteLengths = grown(this.byteLengths, new Uint32Array(length * 2))
  }

  /** The columns as a sink takes them. No value of an earlier filling is kept. */
  batch(): WriteBatch<unknown> {
    const { values, tokens, byteLengths, keys, length } = this
    if (values.length > length) values.length = length
    const batch = this.#batch
    if (batch !== undefined && batch.tokens === tokens && batch.keys === keys) return batch
    this.#batch = { values, tokens, byteLengths, ...(keys === undefined ? {} : { keys }) }
    return this.#batch
  }
}

function grown<Column extends Float64Array | Uint32Array>(from: Column, to: Column): Column {
  to.set(from)
  return to
}
