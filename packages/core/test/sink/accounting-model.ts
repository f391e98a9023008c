import type { SubmitOutcome } from '../../src/index.ts'
import { SluiceError } from '../../src/index.ts'
import type { TrackedSplit } from '../../src/tracker/run.ts'
import { Tracker } from '../../src/tracker/tracker.ts'
import { FakeSettlement, Harness, reason, type Request, type Shape, type Value } from './harness.ts'

export type Kind = 'written' | 'duplicate' | 'dropped' | 'retry' | 'retryLater' | 'refuse'

export type Answer =
  | { readonly form: 'written' | 'isolate' | 'tooLarge' | 'garbage' | 'short' | 'throw' | 'fail' }
  | { readonly form: 'entries'; readonly kinds: readonly Kind[] }
  | { readonly form: 'retryAll'; readonly afterMs?: number; readonly slowDown?: boolean; readonly unknown?: boolean }

export type Event =
  | { readonly do: 'write'; readonly split: number; readonly values: readonly Omit<Value, 'name'>[] }
  | { readonly do: 'hasten' }
  | { readonly do: 'barrier' }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'answer'; readonly which: number; readonly answer: Answer }
  | { readonly do: 'letter'; readonly which: number; readonly taken: boolean }
  | { readonly do: 'release'; readonly split: number }
  | { readonly do: 'restart' }
  | { readonly do: 'close'; readonly deadlineMs: number }

export interface Limits {
  readonly maxBatchSize: number
  readonly maxInFlightRequests: number
  readonly maxBufferedRequests: number
  readonly maxBatchWeight: number
  readonly maxBatchSizeInBytes: number
  readonly maxBufferedBytes: number
  readonly maxIsolationRequests: number
  readonly maxAttempts: number
  readonly entryTimeoutMs: number
}

const REQUEST_TIMEOUT_MS = 2000
const MAX_RECORD_BYTES = 35
const LARGEST_VALUE_BYTES = 33 + 3 * 40

type Final = 'written' | 'duplicate' | 'dropped' | 'deadLettered' | 'returned'

interface Known {
  readonly token: number
  readonly charge: number
  /** When it was accepted, among all. */
  readonly order: number
  readonly key: number
  readonly destination: string
}

/** An input that was emitted, and what it was: for a repeat after a restart. */
interface Emitted {
  readonly token: number
  readonly split: number
  readonly value: Value
}

/**
 * Knows from the outside alone what must be in hand, and compares it with the engine and with the tracker after every event. One model
 * is one attempt; {@link AccountingModel.restart} makes the next, which repeats what is unsettled.
 */
export class AccountingModel {
  readonly harness: Harness
  readonly tracker: Tracker
  /** What was seen in this run: for the coverage of pairs. */
  readonly seen: Set<string>
  readonly #limits: Limits
  readonly #shape: Shape
  readonly #random: () => number
  /** Entries without an outcome. */
  readonly #inHand = new Map<string, Known>()
  readonly #finals: Record<Final, number> = { written: 0, duplicate: 0, dropped: 0, deadLettered: 0, returned: 0 }
  readonly #sizes = new Map<string, number>()
  readonly #open: Request[] = []
  /** Requests that ran into their timeout and were looked at. */
  readonly #givenUp = new Set<Request>()
  readonly #letters: { readonly name: string; readonly resolve: (taken: boolean) => void }[] = []
  /** Entries whose refusal is being decided: they are not sent again. */
  readonly #refused = new Set<string>()
  /** Emitted, and not yet taken by the writer: offered again before anything new. */
  #offered: Emitted[] = []
  readonly #inputs = new Map<number, Emitted>()
  readonly #released = new Set<number>()
  readonly #barriers: { readonly token: number; isPassed: boolean }[] = []
  #order = 0
  readonly #releases: TrackedSplit[] = []
  #acknowledgeable = 0
  #accepted = 0
  #late = 0
  #sequence = 0
  #settlements = 0
  #failed = false
  #closing = false
  #closed = false

  constructor(limits: Limits, shape: Shape, random: () => number, seen: Set<string> = new Set()) {
    this.#limits = limits
    this.#shape = shape
    this.#random = random
    this.seen = seen
    const { maxAttempts, ...rest } = limits
    this.tracker = new Tracker({ acknowledgement: 'individual' })
    this.harness = new Harness(
      {
        ...rest,
        maxRecordSizeInBytes: MAX_RECORD_BYTES,
        maxTimeInBufferMS: 500,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        retry: { initialDelayMs: 50, maxDelayMs: 1000, maxAttempts },
      },
      random,
      shape,
    )
    this.#joinTracker()
    this.harness.settlement.decide = (refusal) => {
      const name = (refusal.entry as { name: string } | undefined)?.name ?? this.#nameOf(refusal.token)
      this.seen.add(refusal.reason.code)
      check(refusal.attempts <= maxAttempts, `${refusal.attempts} tries, ${maxAttempts} are allowed`)
      this.#refused.add(name)
      return new Promise((resolve) => {
        this.#letters.push({ name, resolve })
      })
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  get failed(): boolean {
    return this.#failed
  }

  async apply(event: Event): Promise<void> {
    switch (event.do) {
      case 'write':
        this.#write(
          event.split,
          event.values.map((value) => ({ ...value, name: `v${this.#sequence++}` })),
        )
        break
      case 'hasten':
        this.seen.add('hasten')
        this.harness.writer.hasten()
        break
      case 'barrier':
        this.#takeBarrier()
        break
      case 'advance':
        await this.harness.clock.advance(event.ms)
        break
      case 'answer':
        await this.#answer(event.which, event.answer)
        break
      case 'letter':
        await this.#letter(event.which, event.taken)
        break
      case 'release':
        this.#release(event.split)
        break
      case 'restart':
        break
      case 'close':
        this.seen.add('close')
        if (this.#closing && !this.#closed) this.seen.add('closeAgain')
        this.#closing = true
        void this.harness.writer.close(event.deadlineMs).then(() => (this.#closed = true))
    }
    await this.harness.clock.flush()
    this.#look()
  }

  /** Every open request is stored, every letter taken, until nothing is left. */
  async drain(): Promise<void> {
    for (let round = 0; round < 500 && this.#inHand.size + this.#offered.length > 0; round++) {
      await this.apply({ do: 'write', split: 0, values: [] })
      await this.apply({ do: 'hasten' })
      for (let count = this.#letters.length; count > 0; count--)
        await this.apply({ do: 'letter', which: 0, taken: true })
      while (this.#open.length > 0) await this.apply({ do: 'answer', which: 0, answer: { form: 'written' } })
      await this.apply({ do: 'advance', ms: 5000 })
    }
    check(
      this.#inHand.size === 0,
      `${this.#inHand.size} entries never end: ${this.harness.writer.status().oldest?.reason}`,
    )
    // The timer of an age that has become pointless may still run out.
    await this.apply({ do: 'advance', ms: 20_000 })
    check(this.harness.clock.pendingTimers === 0, 'a timer is left although nothing is in hand')
    check(this.harness.settlement.unsettled === 0, 'an input is unsettled although nothing is in hand')
    check(this.tracker.watermark === this.tracker.next, 'the tracker waits for an input although nothing is in hand')
    check(
      this.#barriers.every(({ isPassed }) => isPassed),
      'a barrier was not passed although nothing is in hand',
    )
    const settled = [
      ...this.tracker.takeSettled().flatMap(({ receipts }) => receipts),
      ...this.#releases.flatMap((each) => this.tracker.forget(each)),
    ]
    check(
      settled.length === this.#acknowledgeable,
      `${settled.length} inputs to acknowledge, not ${this.#acknowledgeable}`,
    )
    const { returnedInputs } = this.tracker
    const returned = new Set(this.harness.settlement.givenBack).size
    check(returnedInputs === returned, `${returnedInputs} inputs are returned, not ${returned}`)
  }

  /** @returns what is unsettled, in its order: what the next attempt has to repeat. */
  async close(): Promise<readonly Emitted[]> {
    await this.apply({ do: 'close', deadlineMs: 3000 })
    await this.apply({ do: 'advance', ms: 3000 })
    check(this.#closed, 'close did not end at its deadline')
    const settlements = this.harness.settlement.settled.length
    const unsettled = [...this.#inputs.values()].filter(
      ({ token }) => (this.harness.settlement.references[token] ?? 0) > 0,
    )
    for (let count = this.#letters.length; count > 0; count--) await this.apply({ do: 'letter', which: 0, taken: true })
    while (this.#open.length > 0) await this.apply({ do: 'answer', which: 0, answer: { form: 'written' } })
    await this.apply({ do: 'advance', ms: 100_000 })
    check(this.harness.settlement.settled.length === settlements, 'an input was settled after close had ended')
    return unsettled
  }

  /** Ends this attempt; the next one begins with what is unsettled in this. */
  async restart(): Promise<AccountingModel> {
    this.seen.add('restart')
    const unsettled = await this.close()
    const next = new AccountingModel(this.#limits, this.#shape, this.#random, this.seen)
    for (const { split, value } of unsettled) {
      if (this.#released.has(split)) continue
      await next.apply({ do: 'write', split, values: [value] })
    }
    return next
  }

  /** Whatever the engine tells its settlement, the tracker is told too: it throws when an input is settled too often. */
  #joinTracker(): void {
    const { settlement } = this.harness
    const { tracker } = this
    const fake = FakeSettlement.prototype
    // What of a split that was given back is settled all the same goes with its release.
    const noteEnd = (token: number): void => {
      if (settlement.references[token] === 0 && !settlement.givenBack.includes(token)) this.#acknowledgeable++
    }
    settlement.settle = (token) => {
      fake.settle.call(settlement, token)
      tracker.settle(token)
      noteEnd(token)
    }
    settlement.returned = (token) => {
      fake.returned.call(settlement, token)
      tracker.returned(token)
    }
    settlement.became = (token, entries) => {
      fake.became.call(settlement, token, entries)
      tracker.add(token, entries - 1)
      noteEnd(token)
    }
    settlement.isReleased = (token) => tracker.isReleased(token)
  }

  #write(split: number, values: readonly Value[]): void {
    const { writer } = this.harness
    this.#emit(split, values)
    const before = writer.status()
    const offered = this.#offered
    // Before the call, since conversion may refuse at once.
    for (const { token, value } of offered) this.#expect(value, token)
    const taken = writer.write(
      {
        values: offered.map(({ value }) => value),
        tokens: Float64Array.from(offered, ({ token }) => token),
        byteLengths: Uint32Array.from(offered, ({ value }) => value.rawBytes ?? 0),
        ...(this.#shape.keyed === true ? { keys: Float64Array.from(offered, ({ value }) => value.key ?? 0) } : {}),
      },
      0,
      offered.length,
    )
    for (const [index, { value }] of offered.entries()) {
      if (index >= taken) this.#forget(value)
      else this.#accepted += entriesOf(value).length
    }
    this.#offered = offered.slice(taken)
    if (taken < offered.length) this.seen.add(this.#closing ? 'writeAfterClose' : 'full')
    const { maxBufferedRequests, maxBufferedBytes } = this.#limits
    const full = before.bufferedRecords >= maxBufferedRequests || before.bufferedBytes >= maxBufferedBytes
    check(!full || taken === 0, `${taken} values were admitted above the limit`)
    check(!this.#closing || taken === 0, `${taken} values were admitted after close`)
    check(full || this.#closing || taken > 0 || offered.length === 0, 'no value was admitted although there is room')
  }

  #emit(split: number, values: readonly Value[]): void {
    if (values.length === 0 || this.#closing) return
    this.#released.delete(split)
    const batch = {
      splitId: String(split),
      values,
      byteLengths: Uint32Array.from(values, ({ rawBytes = 0 }) => rawBytes),
      lastOfSplit: false,
      raw: () => undefined,
      splitAfter: () => ({ splitId: String(split) }),
      receipts: values.map((_, index) => index),
    }
    const tracked = this.tracker.track('model', batch)
    const first = this.tracker.emitRun(tracked, 0, values.length, 1)
    for (const [index, value] of values.entries()) {
      const token = this.harness.settlement.token()
      check(token === first + index, 'tokens are not dense')
      const emitted = { token, split, value }
      this.#inputs.set(token, emitted)
      this.#offered.push(emitted)
    }
  }

  #takeBarrier(): void {
    this.seen.add('barrier')
    const barrier = { token: this.tracker.next, isPassed: false }
    this.#barriers.push(barrier)
    void this.tracker.settledUpTo(barrier.token).then(() => (barrier.isPassed = true))
    this.harness.writer.hasten()
  }

  #release(split: number): void {
    const { settlement, writer } = this.harness
    if (this.#closing) {
      check(writer.release(String(split)) === 0, 'something was returned after close')
      return
    }
    this.seen.add('release')
    this.#released.add(split)
    const released = this.tracker.release(String(split))
    if (released !== undefined) this.#releases.push(released.split)
    for (const { token, split: of } of this.#inputs.values()) if (of === split) settlement.released.add(token)
    // What no writer has yet is the caller's to return.
    for (const { token } of this.#offered.filter((each) => each.split === split)) settlement.returned(token)
    this.#offered = this.#offered.filter((each) => each.split !== split)
    const inFlight = new Set(this.#open.filter((request) => !this.#timedOut(request)).flatMap(({ names }) => names))
    let expected = 0
    for (const [name, { token }] of this.#inHand) {
      if (!settlement.released.has(token) || inFlight.has(name) || this.#refused.has(name)) continue
      this.#end(name, 'returned')
      expected++
    }
    if (expected > 0) this.seen.add('returned')
    // After a failure nothing is sent again, so it may lie where it is until the attempt ends.
    const returned = writer.release(String(split))
    check(returned === expected, `${returned} entries were returned, not ${expected}`)
  }

  async #answer(which: number, given: Answer): Promise<void> {
    const [request] = this.#open.splice(which % Math.max(1, this.#open.length), 1)
    if (request === undefined) return
    const answer = this.#possible(given)
    const isLate = this.#closed || this.#timedOut(request)
    this.seen.add(isLate ? 'late' : answer.form)
    if (isLate) this.#late++
    else if (answer.form === 'written') for (const name of request.names) this.#end(name, 'written')
    else if (answer.form === 'entries') {
      for (const [index, name] of request.names.entries()) {
        const kind = kindAt(answer.kinds, index)
        this.seen.add(kind)
        if (kind === 'written' || kind === 'duplicate' || kind === 'dropped') this.#end(name, kind)
        else if (kind !== 'refuse') this.#returnReleased([name])
      }
    } else if (answer.form === 'fail') this.#failed ||= !this.#closing
    else this.#returnReleased(request.names)
    if (answer.form === 'throw') await request.reject(new Error('thrown'))
    else await request.answer(outcomeOf(answer, request.names.length))
  }

  /** A store that answers for whole requests repeats all of them or none. */
  #possible(answer: Answer): Answer {
    if (answer.form !== 'entries' || !this.#isOrdered || this.#shape.answers !== 'request') return answer
    return { form: 'entries', kinds: answer.kinds.map((kind) => (kind.startsWith('retry') ? 'written' : kind)) }
  }

  /** Of a request that has to be repeated, what was released meanwhile goes back instead. */
  #returnReleased(names: readonly string[]): void {
    if (this.#closing) return
    for (const name of names) {
      const known = this.#inHand.get(name)
      if (known === undefined || !this.harness.settlement.released.has(known.token)) continue
      this.seen.add('returnedInFlight')
      this.#end(name, 'returned')
    }
  }

  async #letter(which: number, taken: boolean): Promise<void> {
    const [letter] = this.#letters.splice(which % Math.max(1, this.#letters.length), 1)
    if (letter === undefined) return
    this.seen.add(this.#closed ? 'lateLetter' : taken ? 'letterTaken' : 'letterRefused')
    if (taken && !this.#closed) this.#end(letter.name, 'deadLettered')
    letter.resolve(taken)
    await this.harness.clock.flush()
  }

  #look(): void {
    this.#lookAtTimeouts()
    this.#takeRequests()
    const { writer, settlement, clock, failures } = this.harness
    const status = writer.status()
    check(
      this.harness.imbalance() === 0,
      `the identity is broken by ${this.harness.imbalance()}: ${JSON.stringify(status)}`,
    )
    check(status.accepted === this.#accepted, `accepted is ${status.accepted}, not ${this.#accepted}`)
    for (const [outcome, count] of Object.entries(this.#finals)) {
      const shown = status[outcome as Final]
      check(shown === count, `${outcome} is ${shown}, not ${count}`)
    }
    const left = status.inHand + status.abandoned
    check(left === this.#inHand.size, `${left} entries are in hand or abandoned, not ${this.#inHand.size}`)
    check(this.#closing || status.abandoned === 0, 'an entry was abandoned before close')
    check(
      this.#closed || this.#closing || status.bufferedBytes === this.#bytes(),
      `${status.bufferedBytes} bytes in hand, not ${this.#bytes()}`,
    )
    check(
      this.harness.metric('bufferedRecords') === status.bufferedRecords,
      `bufferedRecords is kept as ${this.harness.metric('bufferedRecords')} and counted as ${status.bufferedRecords}`,
    )
    this.#checkTokens()
    this.#checkBarriers()
    this.#checkBounds()
    check(settlement.violations.length === 0, settlement.violations.join())
    check(this.harness.metric('numLateAnswers') === this.#late, 'late answers are counted wrongly')
    check(failures.length > 0 === this.#failed, `the attempt failed: ${failures.map(String).join()}`)
    if (!this.#closed) return
    check(status.inHand === 0, `${status.inHand} entries are in hand after close`)
    check(clock.pendingTimers === 0, `${clock.pendingTimers} timers are left after close`)
    check(status.bufferedBytes === 0, `${status.bufferedBytes} bytes are held after close`)
  }

  #lookAtTimeouts(): void {
    for (const request of this.#open) {
      if (!this.#timedOut(request) || this.#givenUp.has(request)) continue
      this.#givenUp.add(request)
      this.seen.add('timeout')
      this.#returnReleased(request.names)
    }
  }

  #takeRequests(): void {
    const { maxBatchSize, maxBatchWeight, maxBatchSizeInBytes, maxAttempts } = this.#limits
    for (const request of this.harness.sent()) {
      check(!this.#closing, 'a request was sent after close')
      this.#open.push(request)
      this.seen.add(`sent:${request.trigger}`)
      const several = request.names.length > 1
      check(request.names.length <= maxBatchSize, `a batch of ${request.names.length}`)
      check(!several || request.weight <= maxBatchWeight, `a batch of weight ${request.weight}`)
      const bytes = request.names.reduce((total, name) => total + (this.#sizes.get(name) ?? 0), 0)
      check(!several || bytes <= maxBatchSizeInBytes, `a batch of ${bytes} bytes`)
      check(request.attempt <= maxAttempts, `attempt ${request.attempt}`)
      this.#checkDestination(request)
      if (this.#isOrdered && !this.#closing) this.#checkOrder(request)
    }
    const live = this.#open.filter((request) => !this.#timedOut(request))
    const inFlight = live.flatMap((request) => request.names)
    check(new Set(inFlight).size === inFlight.length, 'one entry is in two requests at a time')
    for (const name of inFlight) check(this.#inHand.has(name), `${name} was sent although it had its outcome`)
    const { inFlightRequests, inFlightRecords } = this.harness.writer.status()
    if (this.#closed) return
    check(inFlightRequests === live.length, `${inFlightRequests} requests in flight, not ${live.length}`)
    check(inFlightRecords === inFlight.length, `${inFlightRecords} entries in flight, not ${inFlight.length}`)
    check(live.length <= this.#limits.maxInFlightRequests, `${live.length} requests in flight`)
  }

  #checkDestination({ names, destination }: Request): void {
    for (const name of names) {
      const known = this.#inHand.get(name)
      check(known === undefined || known.destination === destination, `${name} was sent to ${destination}`)
    }
  }

  /** Nothing is sent while an entry of its key that was accepted before has no outcome, but for what goes before it in the request. */
  #checkOrder({ names }: Request): void {
    for (const [index, name] of names.entries()) {
      const entry = this.#inHand.get(name)
      // One that timed out and was answered in one turn of the event loop.
      if (entry === undefined) continue
      const before = new Set(names.slice(0, index))
      for (const [other, { key, destination, order }] of this.#inHand) {
        if (key !== entry.key || destination !== entry.destination || order >= entry.order) continue
        const isRepeatedWithIt = this.#shape.answers === 'request' && before.has(other)
        check(isRepeatedWithIt || this.#refused.has(other), `${name} overtook ${other}, both have the key ${key}`)
      }
    }
    this.seen.add('ordered')
  }

  get #isOrdered(): boolean {
    return this.#shape.keyed === true
  }

  /** Exactly what is in hand holds its token: a token settled early or late differs. */
  #checkTokens(): void {
    const held = new Map<number, number>()
    for (const { token } of this.#inHand.values()) held.set(token, (held.get(token) ?? 0) + 1)
    for (const { token } of this.#offered) held.set(token, 1)
    for (const [token, count] of this.harness.settlement.references.entries()) {
      check(
        count === (held.get(token) ?? 0),
        `token ${token} has ${count} references and ${held.get(token) ?? 0} entries`,
      )
    }
    check(this.tracker.unsettled === held.size, `${this.tracker.unsettled} inputs are unsettled, not ${held.size}`)
  }

  #checkBarriers(): void {
    for (const { token, isPassed } of this.#barriers) {
      const waits = [...this.#inHand.values(), ...this.#offered].some((each) => each.token < token)
      check(isPassed === !waits, `the barrier at ${token} was ${isPassed ? 'passed too early' : 'not passed'}`)
    }
  }

  #checkBounds(): void {
    const { maxBufferedRequests, maxInFlightRequests, maxBatchSize, maxBufferedBytes } = this.#limits
    const { inHand, bufferedBytes } = this.harness.writer.status()
    // The value that was admitted last may have become 3 entries.
    const entries = maxBufferedRequests + maxInFlightRequests * maxBatchSize + 2
    check(inHand <= entries, `${inHand} entries in hand, ${entries} are allowed`)
    const bytes = maxBufferedBytes - 1 + LARGEST_VALUE_BYTES
    check(bufferedBytes <= bytes, `${bufferedBytes} bytes in hand, ${bytes} are allowed`)
  }

  #bytes(): number {
    let bytes = 0
    for (const { charge } of this.#inHand.values()) bytes += charge
    return bytes
  }

  #timedOut(request: Request): boolean {
    return this.harness.clock.now() - request.sentAt >= REQUEST_TIMEOUT_MS
  }

  #expect(value: Value, token: number): void {
    if (value.throws !== undefined) this.seen.add('throws')
    else if (value.parts !== 1) this.seen.add(value.parts === 0 ? 'none' : 'many')
    const { rawBytes = 0, size = 0, key = 0, to = '' } = value
    const list = entriesOf(value)
    for (const name of list) {
      const charge = value.throws === undefined ? Math.ceil(rawBytes / list.length) + size : rawBytes
      const destination = this.#shape.destinations === true ? String(to) : ''
      this.#inHand.set(name, { token, charge, key, destination, order: this.#order++ })
      this.#sizes.set(name, size)
    }
  }

  #forget(value: Value): void {
    for (const name of entriesOf(value)) this.#inHand.delete(name)
  }

  #nameOf(token: number): string {
    const found = [...this.#inHand].find(([, known]) => known.token === token)
    check(found !== undefined, `token ${token} was refused although nothing of it is in hand`)
    return found?.[0] ?? ''
  }

  #end(name: string, outcome: Final): void {
    check(this.#inHand.delete(name), `${name} got a second outcome`)
    this.#refused.delete(name)
    this.#finals[outcome]++
    if (outcome === 'returned') return
    this.#settlements++
    check(this.harness.settlement.settled.length < this.#settlements, `${name} was settled before its outcome`)
  }
}

function entriesOf({ name, parts = 1, throws }: Value): readonly string[] {
  if (throws !== undefined || parts === 1) return [name]
  return Array.from({ length: parts }, (_, part) => `${name}.${part}`)
}

function kindAt(kinds: readonly Kind[], index: number): Kind {
  return kinds[index % kinds.length] ?? 'written'
}

function outcomeOf(answer: Answer, count: number): SubmitOutcome {
  switch (answer.form) {
    case 'written':
      return { allWritten: true }
    case 'isolate':
      return { isolate: reason('bad') }
    case 'tooLarge':
      return { tooLarge: reason('413') }
    case 'fail':
      return { fail: new SluiceError('SLUICE_ACCESS_DENIED', 'denied') }
    case 'short':
      return { entries: Array.from({ length: count - 1 }, () => ({ kind: 'written' })) }
    case 'entries':
      return {
        entries: Array.from({ length: count }, (_, index) => {
          const kind = kindAt(answer.kinds, index)
          if (kind === 'written' || kind === 'duplicate') return { kind }
          if (kind === 'retryLater') return { kind: 'retry', reason: reason('busy'), afterMs: 700 }
          return { kind, reason: reason(kind) }
        }),
      }
    case 'retryAll': {
      const { form: _, ...rest } = answer
      return { retryAll: reason('busy'), ...rest }
    }
    case 'garbage':
    case 'throw':
      break
  }
  return {} as SubmitOutcome
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}
