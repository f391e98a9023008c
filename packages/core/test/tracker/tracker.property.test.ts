import { deepStrictEqual as same } from 'node:assert/strict'

import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import type { RecordBatch } from '../../src/index.ts'
import type { TrackedBatch, TrackedSplit } from '../../src/tracker/run.ts'
import { Tracker } from '../../src/tracker/tracker.ts'

/** A split as long as it is assigned. */
interface Assignment {
  readonly splitId: string
  readonly tracked: TrackedSplit
  released: boolean
  emitted: number
  /** Inputs with a lower ordinal are suspects. */
  suspects: number
}

interface Fetched {
  readonly tracked: TrackedBatch
  readonly assignment: Assignment
  readonly bytes: number
  emitted: number
}

interface Input {
  references: number
  returned: boolean
  readonly token: number
  readonly index: number
  readonly ordinal: number
  readonly fetched: Fetched
}

const splitId = fc.constantFrom('a', 'b', 'c')

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ open: splitId }) },
  { weight: 8, arbitrary: fc.record({ emit: fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }), into: fc.nat() }) },
  {
    weight: 8,
    arbitrary: fc.record({ run: fc.integer({ min: 1, max: 900 }), references: fc.nat(2), into: fc.nat() }),
  },
  { weight: 8, arbitrary: fc.record({ settle: fc.array(fc.nat(), { minLength: 1, maxLength: 60 }) }) },
  { weight: 5, arbitrary: fc.record({ settleAll: fc.array(fc.nat(), { minLength: 1, maxLength: 60 }) }) },
  // Most of the oldest: the window moves on, while single inputs stay behind.
  { weight: 8, arbitrary: fc.record({ oldest: fc.integer({ min: 1, max: 1500 }), except: fc.array(fc.nat(20)) }) },
  { weight: 4, arbitrary: fc.record({ grow: fc.nat(), by: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ release: splitId }) },
  { weight: 4, arbitrary: fc.record({ giveBack: fc.array(fc.nat(), { minLength: 1, maxLength: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ forget: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ suspect: splitId, next: fc.nat(400) }) },
  { weight: 3, arbitrary: fc.record({ take: fc.option(fc.nat()) }) },
  { weight: 4, arbitrary: fc.constant({ barrier: true }) },
)

function receiptOf({ index, fetched }: Input): string {
  return `${fetched.bytes - 7} ${index}`
}

/** The same in the most naive way: a list of all inputs. */
class Model {
  readonly tracker = new Tracker({ acknowledgement: 'individual' })
  readonly #inputs: Input[] = []
  readonly #batches: Fetched[] = []
  /** Assigned splits. */
  readonly #splits = new Map<string, Assignment>()
  /** What may be acknowledged one by one, in the order in which it was settled. */
  #settled: Input[] = []
  #returnedInputs = 0
  /** Assignments that were given back and whose reader has them still. */
  readonly #released: Assignment[] = []
  readonly #gone = new Set<Assignment>()
  readonly #barriers: { readonly at: number; resolved: boolean }[] = []

  open(id: string): void {
    const number = this.#batches.length
    const batch = {
      splitId: id,
      byteLengths: Uint32Array.of(number, 7),
      raw: (index: number) => ({ position: `${number} ${index}` }),
      splitAfter: (index: number) => ({ splitId: `${number} ${index + 1}` }),
      // Of any length: the property of an index that is looked at.
      receipts: new Proxy([], { get: (_, index) => `${number} ${String(index)}` }),
    }
    const tracked = this.tracker.track('source', batch as unknown as RecordBatch<unknown>, { splitId: `${number} 0` })
    this.#batches.push({ tracked, assignment: this.#assignment(id), bytes: number + 7, emitted: 0 })
  }

  /** One batch of a split at a time, the newest; those of several splits take turns, as those of several subtasks do. */
  emit(into: number, count: number, references: number, asRun: boolean): void {
    const assigned = this.#batches.filter(({ assignment }) => !assignment.released)
    const newest = [...new Map(assigned.map((each) => [each.assignment, each])).values()].slice(-3)
    if (newest.length === 0) return
    const fetched = newest[into % newest.length] as Fetched
    const first = this.#inputs.length
    for (let at = 0; at < count; at++) {
      const index = fetched.emitted++
      const ordinal = fetched.assignment.emitted++
      const input = { references, returned: false, token: first + at, index, ordinal, fetched }
      this.#inputs.push(input)
      if (references === 0) this.#ended(input)
    }
    const index = fetched.emitted - count
    const token = asRun
      ? this.tracker.emitRun(fetched.tracked, index, count, references)
      : this.tracker.emit(fetched.tracked, index, references)
    same(token, first)
  }

  settle(number: number, by = -1): void {
    const input = this.#pick(number)
    if (input === undefined) return
    this.#change(input, by)
    if (by === -1) this.tracker.settle(input.token)
    else this.tracker.add(input.token, by)
  }

  settleAll(inputs: readonly Input[]): void {
    const tokens = Float64Array.from([...inputs.map(({ token }) => token), 999_999_999])
    for (const input of inputs) this.#change(input, -1)
    this.tracker.settleAll(tokens, inputs.length)
  }

  settleSome(numbers: readonly number[]): void {
    const inputs = new Set(numbers.map((number) => this.#pick(number)).filter((input) => input !== undefined))
    this.settleAll([...inputs])
  }

  settleOldest(count: number, except: readonly number[]): void {
    const left = new Set(except)
    this.settleAll(this.#unsettled().filter((_, index) => index < count && !left.has(index)))
  }

  release(id: string): void {
    const assignment = this.#splits.get(id)
    const unsettled = this.#unsettled().filter(({ fetched }) => fetched.assignment === assignment)
    const released = this.tracker.release(id)
    same(released?.unsettled, assignment === undefined ? undefined : unsettled.length)
    same(released?.split, assignment?.tracked)
    if (assignment !== undefined) {
      assignment.released = true
      this.#released.push(assignment)
    }
    this.#splits.delete(id)
  }

  giveBack(numbers: readonly number[]): void {
    for (const number of numbers) {
      const candidates = this.#unsettled().filter(({ fetched }) => fetched.assignment.released)
      const input = candidates[number % Math.max(1, candidates.length)]
      if (input === undefined) return
      input.returned = true
      this.#change(input, -1)
      this.tracker.returned(input.token)
    }
  }

  /** The reader forgets a split: all of it that is settled may be acknowledged, and nothing of it later. */
  forget(number: number): void {
    const assignment = this.#released.splice(number % Math.max(1, this.#released.length), 1)[0]
    if (assignment === undefined) return
    const isOf = ({ fetched }: Input): boolean => fetched.assignment === assignment
    same(this.tracker.forget(assignment.tracked), this.#settled.filter(isOf).map(receiptOf))
    this.#settled = this.#settled.filter((input) => !isOf(input))
    this.#gone.add(assignment)
  }

  suspect(id: string, next: number): void {
    const assignment = this.#assignment(id)
    assignment.suspects = assignment.emitted + next
    this.tracker.splits.expectRepeats(id, next)
  }

  take(share: number | null): void {
    const below = share === null ? Number.POSITIVE_INFINITY : share % (this.#inputs.length + 1)
    const expected = new Map<string, string[]>()
    const isTaken = ({ token, fetched }: Input): boolean => token < below && !fetched.assignment.released
    for (const input of this.#settled.filter(isTaken)) {
      const { splitId: id } = input.fetched.assignment
      expected.set(id, [...(expected.get(id) ?? []), receiptOf(input)])
    }
    this.#settled = this.#settled.filter((input) => !isTaken(input))
    const taken = share === null ? this.tracker.takeSettled() : this.tracker.takeSettled(below)
    same(taken.length, expected.size)
    same(new Map<string, readonly unknown[]>(taken.map(({ splitId: id, receipts }) => [id, receipts])), expected)
  }

  barrier(): void {
    const barrier = { at: this.tracker.next, resolved: false }
    this.#barriers.push(barrier)
    void this.tracker.settledUpTo(barrier.at).then(() => (barrier.resolved = true))
  }

  async look(): Promise<void> {
    const { tracker } = this
    const unsettled = this.#unsettled()
    const watermark = unsettled[0]?.token ?? this.#inputs.length
    same(
      [tracker.next, tracker.watermark, tracker.unsettled, tracker.returnedInputs],
      [this.#inputs.length, watermark, unsettled.length, this.#returnedInputs],
    )
    const retained = new Set(unsettled.map(({ fetched }) => fetched))
    same(
      tracker.retainedBytes,
      [...retained].reduce((sum, { bytes }) => sum + bytes, 0),
    )
    const bySplit = new Map<string, number>()
    for (const { fetched } of unsettled) {
      const { splitId: id } = fetched.assignment
      bySplit.set(id, (bySplit.get(id) ?? 0) + 1)
    }
    same(tracker.unsettledBySplit(), bySplit)
    same(tracker.splits.emitted(), new Map([...this.#splits.values()].map(({ splitId: id, emitted }) => [id, emitted])))
    this.#lookAtPositions()
    same(
      tracker.hasReleased,
      unsettled.some(({ fetched }) => fetched.assignment.released),
    )
    for (const { token, index, ordinal, fetched } of [...unsettled.slice(0, 4), ...unsettled.slice(-4)]) {
      const { assignment } = fetched
      const raw = { position: `${this.#batches.indexOf(fetched)} ${index}` }
      same(tracker.origin(token), { source: 'source', splitId: assignment.splitId, raw })
      same(tracker.isReleased(token), assignment.released)
      same(tracker.isReplaySuspect(token), ordinal < assignment.suspects)
    }
    for (const { token, references } of [...this.#inputs.slice(0, 4), ...this.#inputs.slice(-4)]) {
      if (references > 0) continue
      same(
        [tracker.origin(token), tracker.isReleased(token), tracker.isReplaySuspect(token)],
        [undefined, false, false],
      )
    }
    await Promise.resolve()
    same(
      this.#barriers.map(({ resolved }) => resolved),
      this.#barriers.map(({ at }) => watermark >= at),
    )
  }

  async drain(): Promise<void> {
    while (this.#unsettled().length > 0) this.settleAll(this.#unsettled())
    this.take(null)
    while (this.#released.length > 0) this.forget(0)
    same(this.#settled, [])
    await this.look()
    same(this.tracker.takeSettled(), [])
  }

  /** Of assigned splits and of released ones: before the first input that is in hand or was returned. */
  #lookAtPositions(): void {
    const first = new Map<Assignment, Input>()
    for (const input of this.#inputs) {
      const { assignment } = input.fetched
      if ((input.references > 0 || input.returned) && !first.has(assignment)) first.set(assignment, input)
    }
    for (const assignment of [...this.#splits.values(), ...this.#released]) {
      const input = first.get(assignment)
      const before = input === undefined ? undefined : { before: { splitId: receiptOf(input) } }
      same(this.tracker.firstNotSettled(assignment.tracked), before)
    }
  }

  #assignment(id: string): Assignment {
    const known = this.#splits.get(id)
    if (known !== undefined) return known
    const assignment = { splitId: id, tracked: this.tracker.splits.of(id), released: false, emitted: 0, suspects: 0 }
    this.#splits.set(id, assignment)
    return assignment
  }

  #unsettled(): readonly Input[] {
    return this.#inputs.filter(({ references }) => references > 0)
  }

  #pick(number: number): Input | undefined {
    const unsettled = this.#unsettled()
    return unsettled[number % Math.max(1, unsettled.length)]
  }

  #change(input: Input, by: number): void {
    input.references += by
    if (input.references === 0) this.#ended(input)
  }

  #ended(input: Input): void {
    if (input.returned) this.#returnedInputs++
    else if (!this.#gone.has(input.fetched.assignment)) this.#settled.push(input)
  }
}

test('the tracker says what a list of all inputs says', async () => {
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 1_000_000_007)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50, size: 'max' }), async (steps) => {
      const model = new Model()
      model.open('a')
      for (const each of steps) {
        if ('open' in each) model.open(each.open)
        else if ('emit' in each) for (const references of each.emit) model.emit(each.into, 1, references, false)
        else if ('run' in each) model.emit(each.into, each.run, each.references, true)
        else if ('settle' in each) for (const number of each.settle) model.settle(number)
        else if ('settleAll' in each) model.settleSome(each.settleAll)
        else if ('oldest' in each) model.settleOldest(each.oldest, each.except)
        else if ('grow' in each) model.settle(each.grow, each.by)
        else if ('release' in each) model.release(each.release)
        else if ('forget' in each) model.forget(each.forget)
        else if ('giveBack' in each) model.giveBack(each.giveBack)
        else if ('suspect' in each) model.suspect(each.suspect, each.next)
        else if ('take' in each) model.take(each.take)
        else model.barrier()
        await model.look()
      }
      await model.drain()
      expect(model.tracker.unsettled).toBe(0)
    }),
    { seed, numRuns: 80 },
  )
}, 120_000)
