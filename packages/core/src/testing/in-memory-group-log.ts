import { SluiceError } from '../errors.ts'
import { type MemorySplit, MemoryLog, orAborted } from './memory-log.ts'

/** A split in the hands of a member. */
export interface GroupSplit extends MemorySplit {
  /** Counts who had the split, from 1: a commit with an older one is refused. */
  readonly generation: number
}

/** A member of the group, as the log sees it. */
export interface GroupMember {
  readonly name: string
  assigned(splits: readonly GroupSplit[]): void
  /** Resolves when the splits are given up; what is committed before counts. */
  revoked(splitIds: readonly string[]): Promise<void>
  lost(splitIds: readonly string[]): Promise<void>
}

/** A commit that was asked for, in order. */
export interface GroupCommit {
  readonly splitId: string
  readonly next: number
  readonly generation: number
  /** False if another has the split by now, or the commit was made to fail. */
  readonly accepted: boolean
}

/** A change of who has which split. In this order: `revoke`, `lose`, `assign`. */
export interface Rebalance {
  /** Splits whose owner is asked to give them up, and awaited. */
  readonly revoke?: readonly string[]
  /** Splits whose owner learns that another has them already: what it commits is refused. */
  readonly lose?: readonly string[]
  /** Splits that nobody has, for `to`. */
  readonly assign?: readonly string[]
  /** Name of the member that gets the splits. @default the member that joined last */
  readonly to?: string
}

export interface InMemoryGroupLogOptions {
  /** Names of the splits. @default ['0'] */
  readonly splits?: readonly string[]
}

/**
 * A log with committed positions and a group of readers, which outlives jobs and is shared by several of them: it says who reads
 * which split, and from where. Whoever joins gets the splits that nobody has.
 *
 * @example
 * ```ts
 * const log = new InMemoryGroupLog<number>({ splits: ['a', 'b'] })
 * const first = stream(new InMemoryGroupSource({ log, uid: 'first' })).sinkTo(sink).start({ name: 'first' })
 * const second = stream(new InMemoryGroupSource({ log, uid: 'second' })).sinkTo(sink).start({ name: 'second' })
 * await log.rebalance({ revoke: ['b'], assign: ['b'], to: 'second' })
 * ```
 */
export class InMemoryGroupLog<T> {
  /** Where the records are. */
  readonly records: MemoryLog<T>
  /** Every commit that was asked for, in order. */
  readonly commits: GroupCommit[] = []
  readonly #committed = new Map<string, number>()
  readonly #owners = new Map<string, { readonly member: GroupMember | undefined; readonly generation: number }>()
  readonly #members = new Set<GroupMember>()
  readonly #commitFailures: Error[] = []
  readonly #commitHolds: Promise<void>[] = []

  constructor(options: InMemoryGroupLogOptions = {}) {
    this.records = new MemoryLog('the group log', options.splits ?? ['0'])
  }

  /** Names of the members, in the order in which they joined. */
  get members(): readonly string[] {
    return [...this.#members].map(({ name }) => name)
  }

  /** Name of the member that has a split. */
  ownerOf(splitId: string): string | undefined {
    return this.#owners.get(splitId)?.member?.name
  }

  /** Where the split goes on for its next owner. */
  committed(splitId: string): number | undefined {
    return this.#committed.get(splitId)
  }

  /** Appends values to a split. @throws RangeError if there is no such split. */
  push(splitId: string, ...values: readonly T[]): void {
    this.records.push(splitId, values)
  }

  /** Appends a value that cannot be decoded. */
  pushUndecodable(splitId: string, value: T): void {
    this.records.push(splitId, [value], true)
  }

  /** One more split, for the member that joined last. */
  addSplit(splitId: string): void {
    this.records.addSplit(splitId)
    if (this.#members.size > 0) this.#assign([splitId], this.#member(undefined))
  }

  /** No value of this split follows. */
  endSplit(splitId: string): void {
    this.records.endSplit(splitId)
  }

  /** No value follows: readers end when they have emitted what is there. */
  end(): void {
    this.records.end()
  }

  /** The values before index `before` of a split are gone. */
  expire(splitId: string, before: number): void {
    this.records.expire(splitId, before)
  }

  /** The next fetch fails with this error. */
  failNextFetch(error: Error): void {
    this.records.failNextFetch(error)
  }

  /** The next commit fails with this error, and commits nothing. */
  failNextCommit(error: Error): void {
    this.#commitFailures.push(error)
  }

  /** The next commit waits until the returned function is called. */
  holdNextCommit(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#commitHolds.push(promise)
    return () => resolve()
  }

  /** Takes and gives splits. Resolves when they have changed hands. */
  async rebalance({ revoke = [], lose = [], assign = [], to }: Rebalance): Promise<void> {
    await Promise.all(this.#byOwner(revoke).map(([member, splitIds]) => member.revoked(splitIds)))
    for (const splitId of revoke) this.#setOwner(splitId, undefined)
    const losers = this.#byOwner(lose)
    for (const splitId of lose) this.#setOwner(splitId, undefined)
    await Promise.all(losers.map(([member, splitIds]) => member.lost(splitIds)))
    if (assign.length > 0) this.#assign(assign, this.#member(to))
  }

  /** Takes a member in: it gets the splits that nobody has. */
  join(member: GroupMember, initialPosition: 'earliest' | 'latest'): void {
    this.#members.add(member)
    // Committed before anything is read: another start begins there too.
    for (const splitId of this.records.splitIds) {
      if (!this.#committed.has(splitId)) this.#committed.set(splitId, this.records.position(splitId, initialPosition))
    }
    this.#assign(
      this.records.splitIds.filter((splitId) => this.#owners.get(splitId)?.member === undefined),
      member,
    )
  }

  leave(member: GroupMember): void {
    this.#members.delete(member)
    for (const [splitId, owner] of this.#owners) if (owner.member === member) this.#setOwner(splitId, undefined)
  }

  /**
   * @param signal - a commit that waits is given up when it aborts.
   * @throws SluiceError `SLUICE_SOURCE_FAILED` if another has one of the splits by now: nothing is committed.
   */
  async commit(splits: readonly GroupSplit[], signal?: AbortSignal): Promise<void> {
    const hold = this.#commitHolds.shift()
    if (hold !== undefined) await orAborted(hold, signal)
    signal?.throwIfAborted()
    const failure = this.#commitFailures.shift()
    const fenced = splits.find(({ splitId, generation }) => {
      const owner = this.#owners.get(splitId)
      return owner?.member === undefined || owner.generation !== generation
    })
    const accepted = failure === undefined && fenced === undefined
    for (const { splitId, next, generation } of splits) {
      this.commits.push({ splitId, next, generation, accepted })
      if (accepted) this.#committed.set(splitId, next)
    }
    if (failure !== undefined) throw failure
    if (fenced === undefined) return
    const message = `the commit of split '${fenced.splitId}' comes from generation ${fenced.generation}, another has it`
    throw new SluiceError('SLUICE_SOURCE_FAILED', message, { restartable: true })
  }

  #assign(splitIds: readonly string[], member: GroupMember): void {
    const splits = splitIds.map((splitId) => {
      const next = this.#committed.get(splitId) ?? this.records.position(splitId, 'earliest')
      this.#committed.set(splitId, next)
      return { splitId, next, generation: this.#setOwner(splitId, member) }
    })
    if (splits.length > 0) member.assigned(splits)
  }

  #setOwner(splitId: string, member: GroupMember | undefined): number {
    const generation = (this.#owners.get(splitId)?.generation ?? 0) + (member === undefined ? 0 : 1)
    this.#owners.set(splitId, { member, generation })
    return generation
  }

  #byOwner(splitIds: readonly string[]): readonly (readonly [GroupMember, readonly string[]])[] {
    const byOwner = new Map<GroupMember, string[]>()
    for (const splitId of splitIds) {
      const member = this.#owners.get(splitId)?.member
      if (member === undefined) continue
      byOwner.set(member, [...(byOwner.get(member) ?? []), splitId])
    }
    return [...byOwner]
  }

  #member(name: string | undefined): GroupMember {
    const member = [...this.#members].findLast((each) => name === undefined || each.name === name)
    if (member === undefined) throw new RangeError(`the group has no member ${name === undefined ? '' : `'${name}'`}`)
    return member
  }
}
