/** Time of a record: whole milliseconds as a number, anything finer as nanoseconds. One time has one form only. */
export type TimeKey = number | bigint

/** What the version rules say about a record whose key may already be held. */
export type VersionOutcome = 'stored' | 'updated' | 'duplicate' | 'conflict' | 'older'

/** Times of one series, each with the slot of its record. */
export type SeriesTimes = Map<TimeKey, number>

/**
 * Version and value hash of every key of one table. A key is (series, time); its slot numbers rows in the query store.
 * Values are compared by a 64-bit hash, so that holding a key costs some tens of bytes whatever the record's size.
 *
 * Rules: https://docs.aws.amazon.com/timestream/latest/developerguide/API_WriteRecords.html
 */
export class VersionTable {
  #versions = new BigInt64Array(256)
  #hashes = new Uint32Array(512)
  #count = 0

  get count(): number {
    return this.#count
  }

  versionOf(slot: number): bigint {
    return this.#versions[slot] ?? 0n
  }

  /** Judges a record against the held key without changing anything. */
  judge(slot: number | undefined, version: bigint, hash: ValueHash): VersionOutcome {
    if (slot === undefined) return 'stored'
    const held = this.#versions[slot] ?? 0n
    if (version > held) return 'updated'
    if (version < held) return 'older'
    return this.#hashes[slot * 2] === hash.a && this.#hashes[slot * 2 + 1] === hash.b ? 'duplicate' : 'conflict'
  }

  /** Adds a key and returns its slot. */
  add(version: bigint, hash: ValueHash): number {
    const slot = this.#count++
    if (slot === this.#versions.length) this.#grow()
    this.set(slot, version, hash)
    return slot
  }

  set(slot: number, version: bigint, hash: ValueHash): void {
    this.#versions[slot] = version
    this.#hashes[slot * 2] = hash.a
    this.#hashes[slot * 2 + 1] = hash.b
  }

  #grow(): void {
    const versions = new BigInt64Array(this.#versions.length * 2)
    versions.set(this.#versions)
    this.#versions = versions
    const hashes = new Uint32Array(this.#hashes.length * 2)
    hashes.set(this.#hashes)
    this.#hashes = hashes
  }
}

/** Order-independent 64-bit hash of a record's measures: each measure is mixed by itself, then added. */
export class ValueHash {
  a = 0
  b = 0
  readonly #float = new Float64Array(1)
  readonly #bits: Uint32Array = new Uint32Array(this.#float.buffer)

  reset(): void {
    this.a = 0
    this.b = 0
  }

  add(nameHash: number, type: number, value: string | number | boolean): void {
    let a = nameHash ^ Math.imul(type + 1, 0x9e3779b1)
    let b = Math.imul(nameHash, 0x85ebca6b) ^ type
    if (typeof value === 'string') {
      for (let i = 0; i < value.length; i++) {
        const code = value.charCodeAt(i)
        a = Math.imul(a ^ code, 0x01000193)
        b = Math.imul((b << 5) | (b >>> 27), 0xcc9e2d51) ^ code
      }
      a ^= value.length
    } else {
      this.#float[0] = Number(value)
      a = Math.imul(a ^ (this.#bits[0] ?? 0), 0xcc9e2d51)
      a = Math.imul(((a << 15) | (a >>> 17)) ^ (this.#bits[1] ?? 0), 0x1b873593)
      b = Math.imul(b ^ (this.#bits[1] ?? 0), 0xc2b2ae35)
      b = Math.imul(((b << 13) | (b >>> 19)) ^ (this.#bits[0] ?? 0), 0x27d4eb2f)
    }
    this.a = (this.a + finish(a)) >>> 0
    this.b = (this.b + finish(b)) >>> 0
  }
}

export function hashName(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return finish(hash)
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
