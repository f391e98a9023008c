import { messageOf, type SluiceError } from '../../errors.ts'
import { silentLogger } from '../../logger.ts'
import { MetricRegistry } from '../../metrics/registry.ts'
import type { Sink, SinkContext, SinkStatus, SinkWriter } from '../../sink/spi.ts'
import { compareLedger, type LedgerEntry, type LedgerReport, payloadHash } from '../ledger.ts'
import { ScriptedStore, type StoreRequest } from '../scripted-store.ts'
import { seededRandom } from '../seeded-random.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import { Book, expectedOf, type Input, nameOf } from './book.ts'
import { StandClock } from './stand-clock.ts'
import type { SentEntry, SinkAbilities, SinkLimits, SinkRecord, SinkSubject } from './subject.ts'

/** What a case asks of its stand. */
export interface StandOptions {
  readonly limits?: Partial<SinkLimits>
  /** Values come with order keys, as after `keyBy`. */
  readonly keyed?: boolean
  /** @default 1 */
  readonly seed?: number
}

export type OpenStand = (options?: StandOptions) => Promise<Stand>

/** Describes records that a case makes. */
export interface RecordShape {
  /** @default a key of its own for each record */
  readonly key?: string
  readonly entries?: number
  readonly destination?: string
  readonly conversionThrows?: boolean
  /** @default 'split-0' */
  readonly splitId?: string
  /** Bytes of the raw input. @default 0 */
  readonly byteLength?: number
}

const LIMITS: SinkLimits = {
  maxBatchSize: 4,
  maxInFlightRequests: 4,
  maxBufferedRequests: 40,
  maxTimeInBufferMS: 1000,
  maxBufferedBytes: 1024 * 1024,
  maxIsolationRequests: 200,
  requestTimeoutMs: 10_000,
  retry: { initialDelayMs: 100, maxDelayMs: 1000, maxAttempts: 1000 },
}

/** A sink that repeats without a pause would keep the process from everything else. No case needs a tenth of it. */
const MAX_REQUESTS = 5000

/** The sink of one case on virtual time, before a store that does what the case orders. */
export class Stand {
  readonly abilities: SinkAbilities
  readonly limits: SinkLimits
  readonly clock: VirtualClock
  readonly store: ScriptedStore<SentEntry>
  readonly book: Book
  readonly sink: Sink<unknown>
  readonly writer: SinkWriter<unknown>
  /** Errors that the writer ended the attempt with. */
  readonly failures: readonly SluiceError[]
  /** The case expects that the writer ends the attempt. */
  mayFail = false
  readonly #valueFor: (record: SinkRecord) => unknown
  readonly #decode: SinkSubject<unknown>['decodeExplained']
  readonly #keyed: boolean
  readonly #clock: StandClock
  readonly #ends: (() => void | Promise<void>)[]
  readonly #keys = new Map<string, number>()
  #sequence = 0
  #closing: { readonly done: boolean } | undefined

  private constructor(parts: Parts) {
    this.abilities = parts.subject.abilities
    this.limits = parts.limits
    this.clock = parts.clock
    this.store = parts.store
    this.book = parts.book
    this.sink = parts.sink
    this.writer = parts.writer
    this.failures = parts.failures
    this.#valueFor = (record) => parts.subject.valueFor(record)
    this.#decode = parts.subject.decodeExplained?.bind(parts.subject)
    this.#keyed = parts.keyed
    this.#clock = parts.clock
    this.#ends = parts.ends
  }

  static async open(subject: SinkSubject<unknown>, options: StandOptions = {}): Promise<Stand> {
    const given = options.limits ?? {}
    const requestTimeoutMs = subject.requestTimeoutMs ?? given.requestTimeoutMs ?? LIMITS.requestTimeoutMs
    const limits = { ...LIMITS, ...given, requestTimeoutMs }
    const clock = new StandClock()
    const book = new Book(subject.abilities, limits)
    const store: ScriptedStore<SentEntry> = new ScriptedStore({
      now: () => clock.now(),
      maxRequests: MAX_REQUESTS,
      onRequest: (request) => book.onRequest(request, store.open),
      onAnswer: (request) => book.onAnswer(request),
    })
    const ends: Parts['ends'] = []
    const keyed = options.keyed === true
    book.ordered = subject.abilities.orderKey === 'own' || (keyed && subject.abilities.orderKey === 'keyed')
    const failures: SluiceError[] = []
    const sink = await subject.create({ store, limits, clock, defer: (end) => void ends.push(end) })
    const context: SinkContext = {
      sinkUid: sink.uid,
      logger: silentLogger,
      metrics: new MetricRegistry(),
      clock,
      random: seededRandom(options.seed ?? 1),
      settlement: book,
      keyed,
      fail: (error) => void failures.push(error),
      requestCheckpoint: () => {},
    }
    const writer = await sink.createWriter(context)
    return new Stand({ subject, limits, clock, store, book, sink, writer, failures, keyed, ends })
  }

  /** Makes records; they are offered with {@link Stand.offer}. */
  make(count: number, shape: RecordShape = {}): readonly Input[] {
    return Array.from({ length: count }, () => {
      const sequence = this.#sequence++
      const record = {
        key: shape.key ?? `key-${sequence}`,
        sequence,
        entries: shape.entries ?? 1,
        destination: shape.destination ?? '',
        conversionThrows: shape.conversionThrows ?? false,
      }
      return this.book.add(record, shape.splitId ?? 'split-0', shape.byteLength ?? 0)
    })
  }

  value(input: Input): unknown {
    return this.#valueFor(input.record)
  }

  /** Decodes an entry of `explain`. */
  decode(entry: unknown): SentEntry {
    const decoded = this.#decode?.(entry)
    if (decoded === undefined) throw new Error('the subject cannot decode what explain tells')
    return decoded
  }

  /** Offers records in one call of `write`; gives back how many were taken. */
  offer(inputs: readonly Input[], from = 0): number {
    const keys = this.#keyed ? { keys: Float64Array.from(inputs, ({ record }) => this.#keyNumber(record.key)) } : {}
    for (const input of inputs.slice(from)) if (input.state === 'new') input.state = 'offered'
    const batch = {
      values: inputs.map((input) => this.value(input)),
      tokens: Float64Array.from(inputs, ({ token }) => token),
      byteLengths: Uint32Array.from(inputs, ({ byteLength }) => byteLength),
      ...keys,
    }
    const next = this.writer.write(batch, from, inputs.length)
    this.expect(
      Number.isSafeInteger(next) && next >= from && next <= inputs.length,
      `write returned ${next} for values ${from} to ${inputs.length}`,
    )
    for (const [index, input] of inputs.entries()) {
      if (index < from) continue
      const untouched = input.sends.size + input.settled + input.refusals.length === 0 && input.became === undefined
      this.expect(index < next || untouched, `write did not take ${nameOf(input)}, and worked on it`)
      input.state = index < next ? 'accepted' : 'new'
    }
    this.check()
    return next - from
  }

  /** Offers records until all are taken. */
  async offerAll(inputs: readonly Input[], withinMs = 60_000): Promise<void> {
    const end = this.clock.now() + withinMs
    for (let from = this.offer(inputs); from < inputs.length; from += this.offer(inputs, from)) {
      const ready = this.watch('ready', this.writer.ready())
      await this.until('the writer is ready for more', () => ready.done, end - this.clock.now())
    }
  }

  /** Takes, which a case may rely on where the buffer has room. */
  take(count: number, shape?: RecordShape): readonly Input[] {
    const inputs = this.make(count, shape)
    const taken = this.offer(inputs)
    this.expect(taken === count, `${taken} of ${count} values were taken although there is room for all`)
    return inputs
  }

  /** Lets everything happen that needs no time. */
  async flush(): Promise<void> {
    await this.advance(0)
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms)
    this.check()
  }

  /** Moves time on until the condition holds, at most `withinMs`. */
  async until(what: string, holds: () => boolean, withinMs: number): Promise<void> {
    const end = this.clock.now() + withinMs
    await this.flush()
    for (let step = 1; !holds(); step = Math.min(step * 2, 1000)) {
      const left = end - this.clock.now()
      this.expect(left > 0, `not within ${withinMs} ms: ${what}; ${this.describe()}`)
      await this.advance(Math.min(step, left))
    }
  }

  /** One value that is taken. */
  takeOne(shape?: RecordShape): Input {
    const [input] = this.take(1, shape)
    if (input === undefined) throw new Error('no value was made')
    return input
  }

  /** Hastens until nothing is in hand. */
  async drain(withinMs = 120_000): Promise<void> {
    this.writer.hasten()
    await this.until('nothing is in hand', () => this.book.inHand === 0, withinMs)
    this.expect(this.writer.status().bufferedBytes === 0, 'nothing is in hand, and bufferedBytes is not 0')
  }

  /** Every value that was taken is stored, but those given. */
  expectStored(but: readonly Input[] = []): LedgerReport {
    const wanted = this.book.accepted.filter((input) => !but.includes(input)).flatMap(entriesOf)
    const report = compareLedger(wanted, this.store.held.map(lineOf))
    const { missing, examplesMissing } = report
    const [example] = examplesMissing
    this.expect(
      missing === 0,
      `${missing} entries are not in the store, one of key ${example?.key}/${example?.sequence}`,
    )
    return report
  }

  /** Begins to close the writer. */
  startClose(deadlineMs: number): void {
    this.#closing ??= this.watch('close', this.writer.close(deadlineMs))
  }

  /** Closes the writer; ends when it is closed, or fails when its time is over. */
  async close(deadlineMs = 5000): Promise<void> {
    this.startClose(deadlineMs)
    // The deadline is judged one poll phase after its timer.
    await this.until(`close(${deadlineMs}) ends`, () => this.#closing?.done === true, deadlineMs + 1)
    this.book.closed = true
    const { inHand } = this.writer.status()
    this.expect(inHand === 0, `${inHand} entries are in hand after close`)
  }

  /** Looks on while a promise of the writer settles, which none may do with an error. */
  watch(what: string, promise: PromiseLike<unknown>): { readonly done: boolean } {
    const watched = { done: false }
    promise.then(
      () => (watched.done = true),
      (error: unknown) => this.book.violations.push(`${what} was rejected: ${messageOf(error)}`),
    )
    return watched
  }

  /** Ends the case: the writer closes and leaves nothing running. */
  async end(): Promise<void> {
    await this.close()
    this.expect(this.clock.pendingTimers === 0, `${this.clock.pendingTimers} timers are left after close`)
    this.store.answerAll('unavailable')
    await this.advance(10 * this.limits.requestTimeoutMs)
    this.expect(this.clock.pendingTimers === 0, `${this.clock.pendingTimers} timers were set after close`)
  }

  /** Whatever happened in the case: virtual time stands still, and what the subject opened is closed. */
  async stop(): Promise<void> {
    this.#clock.stopped = true
    for (const end of this.#ends.splice(0)) await end()
  }

  /** What must hold after every event. */
  check(): void {
    const { length } = this.store.requests
    this.expect(length <= MAX_REQUESTS, `${length} requests were sent: repeats have no pauses`)
    const [violation] = this.book.violations
    if (violation !== undefined) throw new Error(violation)
    const [failure] = this.failures
    this.expect(this.mayFail || failure === undefined, `the attempt was ended: ${failure?.code}: ${failure?.message}`)
    this.#checkStatus(this.writer.status())
  }

  expect(holds: boolean, message: string): void {
    if (!holds) throw new Error(message)
  }

  /** Requests in flight, as the store sees them. */
  inFlight(): readonly StoreRequest<SentEntry>[] {
    return this.store.open
  }

  describe(): string {
    const { inHand, retryingRecords, inFlightRequests, oldest } = this.writer.status()
    const counts = `${inHand} in hand, ${retryingRecords} to be retried, ${inFlightRequests} requests in flight`
    return oldest === undefined ? counts : `${counts}, the oldest: ${oldest.reason}`
  }

  #checkStatus(status: SinkStatus): void {
    const { accepted, written, duplicate, dropped, deadLettered, returned, abandoned, inHand } = status
    const { book, limits } = this
    const inputs = book.accepted
    const sum = (of: (input: Input) => number): number => inputs.reduce((total, input) => total + of(input), 0)
    const outcomes = written + duplicate + dropped + deadLettered + returned + abandoned
    this.expect(accepted === outcomes + inHand, `accepted ${accepted} is not outcomes ${outcomes} + inHand ${inHand}`)
    this.expect(accepted === sum(expectedOf), `accepted is ${accepted}, ${sum(expectedOf)} entries were taken`)
    this.expect(deadLettered <= sum(({ lettersTaken }) => lettersTaken), `${deadLettered} dead letters are too many`)
    this.expect(returned === sum((input) => input.returned), `returned is ${returned}, which is not what was returned`)
    this.expect(
      duplicate === 0 && dropped === 0,
      `${duplicate} duplicates and ${dropped} dropped, which nobody ordered`,
    )
    const settleable = sum((input) => input.settleable.size)
    this.expect(written <= settleable, `written is ${written}, the store confirmed ${settleable}`)
    if (this.#closing !== undefined) return
    this.expect(abandoned === 0, `${abandoned} entries were abandoned before close`)
    this.expect(inHand === book.inHand, `inHand is ${inHand}, ${book.inHand} entries have no outcome`)
    const fanOut = Math.max(1, ...inputs.map(({ record }) => record.entries)) - 1
    const most = limits.maxBufferedRequests + limits.maxInFlightRequests * limits.maxBatchSize + fanOut
    this.expect(inHand <= most, `${inHand} entries are in hand, allowed are ${most}`)
    this.expect(
      status.inFlightRequests <= limits.maxInFlightRequests,
      `${status.inFlightRequests} requests are in flight, allowed are ${limits.maxInFlightRequests}`,
    )
  }

  #keyNumber(key: string): number {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const number = (this.#keys.size + 1) * 1009
    this.#keys.set(key, number)
    return number
  }
}

interface Parts {
  readonly subject: SinkSubject<unknown>
  readonly limits: SinkLimits
  readonly clock: StandClock
  readonly store: ScriptedStore<SentEntry>
  readonly book: Book
  readonly sink: Sink<unknown>
  readonly writer: SinkWriter<unknown>
  readonly failures: readonly SluiceError[]
  readonly keyed: boolean
  readonly ends: (() => void | Promise<void>)[]
}

type Line = LedgerEntry

function lineOf({ key, sequence, part }: Pick<SentEntry, 'key' | 'sequence' | 'part'>): Line {
  return { source: 'kit', key, sequence, hash: payloadHash(String(part)) }
}

function entriesOf({ record }: Input): readonly Line[] {
  return Array.from({ length: record.entries }, (_, part) => lineOf({ ...record, part }))
}
