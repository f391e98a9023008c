/** Power of two. */
const BITS = 1 << 21
/** Beyond it too many bits are set for them to say anything. */
const MAX_HASHES = BITS / 8

/**
 * Hashes that were seen lately: a bit for each. One that was not seen may look as if it were, which costs memory for a while, and
 * nothing else.
 */
export class SeenHashes {
  readonly #words = new Int32Array(BITS / 32)
  #count = 0

  has(hash: number): boolean {
    return ((this.#words[(hash & (BITS - 1)) >>> 5] as number) & (1 << (hash & 31))) !== 0
  }

  add(hash: number): void {
    if (this.#count >= MAX_HASHES) {
      this.#words.fill(0)
      this.#count = 0
    }
    const word = (hash & (BITS - 1)) >>> 5
    this.#words[word] = (this.#words[word] as number) | (1 << (hash & 31))
    this.#count++
  }
}
