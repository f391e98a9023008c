import type { Checkpoint, CheckpointStorage, DeadLetters, EmittedHint, SubmitOutcome } from '../../src/index.ts'

/** A process: once it has died nothing of it reaches a service, and no answer reaches it. */
export class Life {
  alive = true

  /** For calls that are awaited. */
  async call<T>(service: () => T | Promise<T>): Promise<T> {
    if (!this.alive) return new Promise<T>(() => {})
    const answer = await service()
    return this.alive ? answer : new Promise<T>(() => {})
  }
}

export interface Kept {
  readonly value: number
  readonly splitId: string
  readonly offset: number
}

/** Every seventh record is refused by the store for itself. */
export function isPoison(value: number): boolean {
  return value % 7 === 3
}

/** The services that outlive every process, and what may never happen to them. */
export class World {
  readonly splits: ReadonlyMap<string, readonly Kept[]>
  readonly stored = new Set<number>()
  readonly letters = new Set<number>()
  /** What was acknowledged although it was nowhere yet. */
  readonly violations: string[] = []
  /** Writes of each value. */
  readonly writes = new Map<number, number>()
  /** With a group: where it would go on. */
  readonly committed = new Map<string, number>()
  /** With a queue: what was deleted. */
  readonly deleted = new Set<number>()
  /** With a group: splits that were taken away. */
  releases = 0
  checkpoint: Checkpoint | undefined
  hint: EmittedHint | undefined

  readonly #refuses: (value: number) => boolean

  constructor(splits: readonly string[], recordsEach: number, refuses: (value: number) => boolean = isPoison) {
    this.#refuses = refuses
    let value = 0
    this.splits = new Map(
      splits.map((splitId) => [
        splitId,
        Array.from({ length: recordsEach }, (_, offset) => ({ value: value++, splitId, offset })),
      ]),
    )
  }

  get records(): readonly Kept[] {
    return [...this.splits.values()].flat()
  }

  isSettled(value: number): boolean {
    return this.stored.has(value) || this.letters.has(value)
  }

  get missing(): readonly number[] {
    return this.records.map(({ value }) => value).filter((value) => !this.isSettled(value))
  }

  /** Everything below the offset is acknowledged. */
  acknowledgeBelow(splitId: string, offset: number, by: string): void {
    for (const { value, offset: at } of this.splits.get(splitId) ?? []) {
      if (at < offset && !this.isSettled(value)) this.violations.push(`${by}: ${splitId}@${offset} covers ${value}`)
    }
  }

  commit(splitId: string, offset: number): void {
    this.acknowledgeBelow(splitId, offset, 'commit')
    const before = this.committed.get(splitId) ?? 0
    if (offset < before) this.violations.push(`commit: ${splitId} went back from ${before} to ${offset}`)
    this.committed.set(splitId, offset)
  }

  delete(value: number): void {
    if (!this.isSettled(value)) this.violations.push(`delete: ${value} is not settled`)
    this.deleted.add(value)
  }

  write(values: readonly number[]): SubmitOutcome {
    const reason = { code: 'poison', message: 'refused for itself' }
    for (const value of values) {
      if (this.#refuses(value)) continue
      this.stored.add(value)
      this.writes.set(value, (this.writes.get(value) ?? 0) + 1)
    }
    return { entries: values.map((value) => (this.#refuses(value) ? { kind: 'refuse', reason } : { kind: 'written' })) }
  }

  deadLetters(life: Life): DeadLetters {
    return {
      deliver: (letter) =>
        life.call(() => {
          this.letters.add(Number(Buffer.from(letter.raw ?? '', 'base64').toString()))
        }),
    }
  }

  storage(life: Life): CheckpointStorage {
    return {
      open: () =>
        Promise.resolve({
          load: () => life.call(() => this.checkpoint),
          store: (checkpoint) => life.call(() => this.#keep(checkpoint)),
          storeHint: (hint) => life.call(() => void (this.hint = hint)),
          loadHint: () => life.call(() => this.hint),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        }),
    }
  }

  #keep(checkpoint: Checkpoint): number {
    const json = JSON.stringify(checkpoint)
    for (const split of checkpoint.sources['log']?.splits ?? []) {
      const { splitId, next } = split as { splitId: string; next: number }
      this.acknowledgeBelow(splitId, next, `checkpoint ${checkpoint.id}`)
    }
    this.checkpoint = JSON.parse(json) as Checkpoint
    return json.length
  }
}
