import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import type { EntryOutcome, SubmitOutcome } from '../../src/index.ts'
import { congestionControl, fixedRateLimit, noRateLimit } from '../../src/sink/rate-limiting.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { Harness, reason, type Request } from './harness.ts'

type Kind = 'written' | 'duplicate' | 'dropped' | 'retry' | 'retryLater' | 'refuse'

type Answer =
  | { readonly form: 'written' | 'isolate' | 'tooLarge' | 'garbage' }
  | { readonly form: 'entries'; readonly kinds: readonly Kind[] }
  | { readonly form: 'retryAll'; readonly afterMs: number; readonly slowDown: boolean }

interface Offered {
  readonly key: number
  readonly to: number
  readonly split: number
  readonly parts: number
  readonly size: number
}

type Event =
  | { readonly do: 'write'; readonly values: readonly Offered[] }
  | { readonly do: 'hasten' }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'answer'; readonly which: number; readonly answer: Answer }
  | { readonly do: 'release'; readonly split: number }

interface Setting {
  readonly lanes: number
  readonly isOrdered: boolean
  readonly isKeyed: boolean
  readonly hasDestinations: boolean
  readonly answers: 'entry' | 'request'
  readonly maxBatchSize: number
  readonly entryTimeoutMs: number
  readonly maxElapsedMs: number
  readonly maxIsolationRequests: number
  readonly strategy: number
}

/** An entry without an outcome, as the outside knows it. */
interface Live {
  readonly name: string
  /** What it is ordered with: destination and key. */
  readonly group: string
  readonly sequence: number
  readonly token: number
  readonly acceptedAt: number
  readonly destination: string
}

const REQUEST_TIMEOUT_MS = 2000

/** Watches from the receiver's side, and knows from the outside alone what must be in hand. */
class Receiver {
  readonly harness: Harness
  readonly seen = new Set<string>()
  readonly #setting: Setting
  readonly #live = new Map<string, Live>()
  readonly #open: Request[] = []
  /** Requests whose time was over. */
  readonly #expired = new Set<Request>()
  /** Tokens by split, of the assignment that is current. */
  readonly #splits = new Map<number, number[]>()
  #sequence = 0
  #refused = 0

  constructor(setting: Setting, random: () => number) {
    this.#setting = setting
    const { lanes, maxBatchSize, entryTimeoutMs, maxElapsedMs, maxIsolationRequests } = setting
    this.harness = new Harness(
      {
        maxBatchSize,
        maxInFlightRequests: 4,
        maxBufferedRequests: 2 * lanes * maxBatchSize + 1,
        maxTimeInBufferMS: 500,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        entryTimeoutMs,
        maxIsolationRequests,
        rateLimitingStrategy:
          [congestionControl(), fixedRateLimit({ maxInFlightRequestsPerDestination: 1 }), noRateLimit()][
            setting.strategy
          ] ?? congestionControl(),
        retry: { initialDelayMs: 50, maxDelayMs: 1000, maxElapsedMs },
        ...(setting.isOrdered || setting.isKeyed ? { orderedLanes: lanes } : {}),
      },
      random,
      {
        answers: setting.answers,
        ...(setting.isOrdered ? { ordered: true } : {}),
        ...(setting.isKeyed ? { keyed: true } : {}),
        ...(setting.hasDestinations ? { destinations: true } : {}),
      },
    )
    this.harness.settlement.decide = (refusal) => {
      const { name } = refusal.entry as { readonly name: string }
      this.seen.add(`refused:${refusal.reason.code}`)
      const live = this.#live.get(name)
      check(live !== undefined, `${name} was refused although nothing of it is in hand`)
      const age = this.harness.clock.now() - (live?.acceptedAt ?? 0)
      const isTimeout = refusal.reason.code === 'entryTimeout'
      check(!isTimeout || age >= entryTimeoutMs, `${name} was given up after ${age} ms`)
      this.#end(name)
      this.#refused++
      return Promise.resolve(true)
    }
  }

  get isOrdered(): boolean {
    return this.#setting.isOrdered || this.#setting.isKeyed
  }

  async apply(event: Event): Promise<void> {
    const { writer, clock } = this.harness
    if (event.do === 'write') this.#write(event.values)
    else if (event.do === 'hasten') writer.hasten()
    else if (event.do === 'advance') await clock.advance(event.ms)
    else if (event.do === 'release') this.#release(event.split)
    else await this.#answer(event.which, event.answer)
    await clock.flush()
    this.#look()
  }

  /** Every request is answered as written until nothing is left. */
  async drain(): Promise<void> {
    const { writer, settlement, clock } = this.harness
    for (let round = 0; round < 300 && this.#live.size > 0; round++) {
      await this.apply({ do: 'hasten' })
      while (this.#open.length > 0) await this.apply({ do: 'answer', which: 0, answer: { form: 'written' } })
      await this.apply({ do: 'advance', ms: 400 })
    }
    const why = writer.status().oldest?.reason
    check(this.#live.size === 0, `${this.#live.size} entries never end: ${why}`)
    await this.apply({ do: 'advance', ms: 20_000 })
    const { bufferedBytes, bufferedRecords } = writer.status()
    check(bufferedBytes === 0 && bufferedRecords === 0, `${bufferedBytes} bytes, ${bufferedRecords} entries are left`)
    check(clock.pendingTimers === 0, 'a timer is left although nothing is in hand')
    check(settlement.unsettled === 0, 'an input is unsettled although nothing is in hand')
  }

  #write(values: readonly Offered[]): void {
    const { settlement } = this.harness
    const { isKeyed, isOrdered, hasDestinations } = this.#setting
    const list = values.map(({ key, to, parts, size }, index) => ({
      name: `e${this.#sequence + index * 4}`,
      parts,
      size,
      rawBytes: 6,
      // With both, keyBy's must win: the writer's own would mix everything up.
      ...(isKeyed ? { key, order: (this.#sequence + index) % 7 } : { order: key }),
      ...(isOrdered || isKeyed ? {} : { order: undefined }),
      ...(hasDestinations ? { to: `d${to}` } : {}),
    }))
    const first = settlement.references.length
    const taken = this.harness.offer(...list)
    for (const [index, { name, parts }] of list.slice(0, taken).entries()) {
      const { key, to, split } = values[index] as Offered
      const destination = hasDestinations ? `d${to}` : ''
      const token = first + index
      for (let part = 0; part < parts; part++) {
        const entry = parts === 1 ? name : `${name}.${part}`
        const sequence = this.#sequence + index * 4 + part
        const acceptedAt = this.harness.clock.now()
        const group = `${destination} ${key}`
        this.#live.set(entry, { name: entry, group, sequence, token, acceptedAt, destination })
      }
      const tokens = this.#splits.get(split) ?? []
      this.#splits.set(split, [...tokens, token])
    }
    this.#sequence += values.length * 4
    if (taken < values.length) this.seen.add('full')
  }

  #release(split: number): void {
    const { writer, settlement } = this.harness
    const tokens = new Set(this.#splits.get(split) ?? [])
    this.#splits.delete(split)
    const inFlight = new Set(this.#open.filter((open) => !this.#timedOut(open)).flatMap(({ names }) => names))
    for (const token of tokens) if ((settlement.references[token] ?? 0) > 0) settlement.released.add(token)
    let expected = 0
    for (const { name, token } of this.#live.values()) {
      if (!settlement.released.has(token) || inFlight.has(name)) continue
      this.#live.delete(name)
      expected++
    }
    const returned = writer.release(`s${split}`)
    check(returned === expected, `release gave back ${returned} entries, not ${expected}`)
    if (expected > 0) this.seen.add('released')
  }

  async #answer(which: number, answer: Answer): Promise<void> {
    const [request] = this.#open.splice(which % Math.max(1, this.#open.length), 1)
    if (request === undefined) return
    if (this.#timedOut(request)) this.seen.add('late')
    else {
      this.seen.add(answer.form)
      for (const [index, name] of request.names.entries()) this.#expectOutcome(name, answer, index)
    }
    await request.answer(outcomeOf(answer, request.names.length))
  }

  /** What leaves at once with the answer; refusals report themselves. */
  #expectOutcome(name: string, answer: Answer, index: number): void {
    const live = this.#live.get(name)
    check(live !== undefined, `${name} was in flight although it had its outcome`)
    if (live === undefined) return
    const kind = answer.form === 'entries' ? (answer.kinds[index % answer.kinds.length] ?? 'written') : answer.form
    if (kind === 'written' || kind === 'duplicate' || kind === 'dropped') this.#end(name)
    else if (kind !== 'refuse' && this.harness.settlement.released.has(live.token)) {
      this.#end(name)
      this.seen.add('returnedInFlight')
    }
  }

  #look(): void {
    const { writer, settlement } = this.harness
    for (const open of this.#open) {
      if (!this.#timedOut(open) || this.#expired.has(open)) continue
      this.#expired.add(open)
      this.seen.add('timeout')
      // The engine found them released when the time was over.
      for (const name of open.names) {
        const live = this.#live.get(name)
        if (live !== undefined && settlement.released.has(live.token)) this.#live.delete(name)
      }
    }
    for (const request of this.harness.sent()) this.#see(request)
    const status = writer.status()
    check(this.harness.imbalance() === 0, `the identity is broken by ${this.harness.imbalance()}`)
    check(status.inHand === this.#live.size, `${status.inHand} entries are in hand, not ${this.#live.size}`)
    const counted = this.harness.metric('bufferedRecords')
    check(status.bufferedRecords === counted, `${counted} entries count, ${status.bufferedRecords} are buffered`)
    check(status.deadLettered === this.#refused, `${status.deadLettered} dead letters, not ${this.#refused}`)
    check(settlement.violations.length === 0, settlement.violations.join())
    const held = new Map<number, number>()
    for (const { token } of this.#live.values()) held.set(token, (held.get(token) ?? 0) + 1)
    for (const [token, count] of settlement.references.entries()) {
      check(count === (held.get(token) ?? 0), `token ${token} has ${count} references, ${held.get(token)} entries`)
    }
  }

  #see(request: Request): void {
    const inFlight = new Set(this.#open.filter((open) => !this.#timedOut(open)).flatMap(({ names }) => names))
    this.#open.push(request)
    this.seen.add(`sent:${request.trigger}`)
    check(request.names.length <= this.#setting.maxBatchSize, `a batch of ${request.names.length}`)
    check(new Set(request.names).size === request.names.length, 'an entry is in a request twice')
    const before = new Set<string>()
    const groups = new Map<string, number>()
    for (const name of request.names) {
      check(!inFlight.has(name), `${name} is in two requests at a time`)
      const live = this.#live.get(name)
      // Its outcome may have come in the same step in which it was sent.
      if (live === undefined) continue
      check(live.destination === request.destination, `${name} went to ${request.destination}`)
      groups.set(live.group, (groups.get(live.group) ?? 0) + 1)
      if (this.isOrdered) {
        for (const other of this.#live.values()) {
          if (other.group !== live.group || other.sequence >= live.sequence) continue
          check(before.has(other.name), `${name} overtook ${other.name}`)
        }
      }
      before.add(name)
    }
    if (!this.isOrdered || this.#setting.answers === 'request') return
    for (const [group, count] of groups) check(count === 1, `${count} unsettled entries of ${group} in one request`)
  }

  #timedOut(request: Request): boolean {
    return this.harness.clock.now() - request.sentAt >= REQUEST_TIMEOUT_MS
  }

  #end(name: string): void {
    check(this.#live.delete(name), `${name} got a second outcome`)
  }
}

function outcomeOf(answer: Answer, count: number): SubmitOutcome {
  switch (answer.form) {
    case 'written':
      return { allWritten: true }
    case 'isolate':
      return { isolate: reason('bad') }
    case 'tooLarge':
      return { tooLarge: reason('413') }
    case 'retryAll':
      return { retryAll: reason('busy'), afterMs: answer.afterMs, slowDown: answer.slowDown }
    case 'entries':
      return { entries: Array.from({ length: count }, (_, index) => entryOutcome(answer.kinds, index)) }
    case 'garbage':
      break
  }
  return {} as SubmitOutcome
}

function entryOutcome(kinds: readonly Kind[], index: number): EntryOutcome {
  const kind = kinds[index % kinds.length] ?? 'written'
  if (kind === 'written' || kind === 'duplicate') return { kind }
  if (kind === 'retryLater') return { kind: 'retry', reason: reason('later'), afterMs: 700 }
  return { kind, reason: reason(kind) }
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

const value: fc.Arbitrary<Offered> = fc.record({
  key: fc.nat(5),
  to: fc.nat(2),
  split: fc.nat(2),
  parts: fc.constantFrom(1, 1, 1, 0, 3),
  size: fc.nat(9),
})
const kind = fc.constantFrom<Kind>('written', 'written', 'duplicate', 'dropped', 'retry', 'retryLater', 'refuse')
const answer: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ form: 'written' } as const) },
  {
    weight: 3,
    arbitrary: fc.record({ form: fc.constant('entries' as const), kinds: fc.array(kind, { minLength: 1 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      form: fc.constant('retryAll' as const),
      afterMs: fc.constantFrom(0, 0, 300, 3000),
      slowDown: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.constantFrom('isolate' as const, 'tooLarge', 'garbage').map((form) => ({ form })) },
)
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      values: fc.array(value, { minLength: 1, maxLength: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'hasten' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 1200 }) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('answer' as const), which: fc.nat(5), answer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), split: fc.nat(2) }) },
)
const setting: fc.Arbitrary<Setting> = fc.record({
  lanes: fc.integer({ min: 1, max: 4 }),
  isOrdered: fc.boolean(),
  isKeyed: fc.boolean(),
  hasDestinations: fc.boolean(),
  answers: fc.constantFrom('entry' as const, 'request'),
  maxBatchSize: fc.integer({ min: 1, max: 6 }),
  entryTimeoutMs: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 3000),
  maxElapsedMs: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 1500),
  maxIsolationRequests: fc.constantFrom(3, 200),
  strategy: fc.nat(2),
})

const RUNS = 300

test('order of keys, accounting and tokens hold after every event, whatever lanes, destinations and releases meet', async () => {
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 1_000_000_007)
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      setting,
      fc.array(event, { minLength: 10, maxLength: 80, size: 'max' }),
      fc.nat(),
      async (given, list, randomSeed) => {
        const receiver = new Receiver(given, seededRandom(randomSeed))
        for (const each of list) await receiver.apply(each)
        await receiver.drain()
        for (const feature of receiver.seen) seen.add(feature)
      },
    ),
    { seed, numRuns: RUNS, endOnFailure: false },
  )
  process.stdout.write(`${JSON.stringify({ seed, runs: RUNS, seen: [...seen].toSorted() })}\n`)
  for (const feature of [
    'full',
    'late',
    'timeout',
    'released',
    'returnedInFlight',
    'refused:entryTimeout',
    'refused:retriesExhausted',
    'refused:isolationBudget',
    'sent:retry',
    'sent:isolate',
    'sent:hasten',
  ]) {
    expect(seen).toContain(feature)
  }
}, 180_000)
