import type { Acknowledgement } from '../campaign.ts'
import type { CommitRequest, PollAnswer, PollRequest } from './protocol.ts'

interface Owned {
  owner: string | undefined
  /** Since when it has this owner: a commit of an older one is refused. */
  generation: number
  committed: number
  /** Elsewhere, by command: no member gets it. */
  elsewhere: boolean
}

/** A consumer group: says who reads which split, and keeps the positions. It has one member; a newer one replaces it. */
export class MemoryGroup {
  /** Every record that a commit covered anew, in order. */
  readonly journal: Acknowledgement[] = []
  /** What no correct member does. */
  readonly problems: string[] = []
  /** Commits that came from somebody who did not own the split any more. */
  fenced = 0
  readonly #splits: ReadonlyMap<string, Owned>
  #member: string | undefined
  #generation = 0

  constructor(splits: Iterable<string>) {
    this.#splits = new Map(
      [...splits].map((id) => [id, { owner: undefined, generation: 0, committed: 0, elsewhere: false }]),
    )
  }

  /** Where reading goes on. */
  committed(splitId: string): number {
    return this.#splits.get(splitId)?.committed ?? 0
  }

  isOwned(splitId: string): boolean {
    return this.#splits.get(splitId)?.owner !== undefined
  }

  poll({ memberId, owned, released }: PollRequest): PollAnswer {
    if (this.#member !== memberId) this.#replace(memberId)
    for (const splitId of released) this.#free(splitId, memberId)
    const assign: { splitId: string; next: number }[] = []
    const revoke: string[] = []
    for (const [splitId, split] of this.#splits) {
      const has = owned.includes(splitId)
      if (split.elsewhere) {
        if (has && split.owner === memberId) revoke.push(splitId)
        continue
      }
      if (has) continue
      // Also what was assigned in an answer that did not arrive.
      if (split.owner !== memberId) split.generation = ++this.#generation
      split.owner = memberId
      assign.push({ splitId, next: split.committed })
    }
    const lost = owned.filter((splitId) => this.#splits.get(splitId)?.owner !== memberId)
    return { generation: this.#generation, assign, revoke, lost }
  }

  /** False when it was refused. */
  commit({ memberId, generation, splitId, next }: CommitRequest): boolean {
    const split = this.#splits.get(splitId)
    if (split === undefined || split.owner !== memberId || generation < split.generation) {
      this.fenced++
      return false
    }
    if (next < split.committed) this.problems.push(`${splitId} was committed back from ${split.committed} to ${next}`)
    const atNs = process.hrtime.bigint()
    for (let index = split.committed; index < next; index++) {
      this.journal.push({ position: { splitId, sequenceNumber: String(index) }, atNs })
    }
    split.committed = Math.max(split.committed, next)
    return true
  }

  leave(memberId: string): void {
    for (const splitId of this.#splits.keys()) this.#free(splitId, memberId)
    if (this.#member === memberId) this.#member = undefined
  }

  /** The member is dead. */
  expire(): void {
    if (this.#member !== undefined) this.leave(this.#member)
  }

  /** Another member is to have the split: its owner is asked to give it back, or has lost it already. */
  take(splitId: string, how: 'revoked' | 'lost'): void {
    const split = this.#splits.get(splitId)
    if (split === undefined) return
    split.elsewhere = true
    if (how === 'lost' && split.owner !== undefined) this.#free(splitId, split.owner)
  }

  /** The split comes back to the member. */
  giveBack(splitId: string): void {
    const split = this.#splits.get(splitId)
    if (split !== undefined) split.elsewhere = false
  }

  #replace(memberId: string): void {
    this.expire()
    this.#member = memberId
  }

  #free(splitId: string, memberId: string): void {
    const split = this.#splits.get(splitId)
    if (split?.owner !== memberId) return
    split.owner = undefined
    split.generation = ++this.#generation
  }
}
