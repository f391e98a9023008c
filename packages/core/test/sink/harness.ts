import {
  ALL_WRITTEN,
  type AsyncSinkOptions,
  AsyncSinkWriter,
  type Batch,
  MetricRegistry,
  type Refusal,
  type Settlement,
  type SINK_METRICS,
  silentLogger,
  type SluiceError,
  type SubmitContext,
  type SubmitOutcome,
} from '../../src/index.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'

/** A value says itself what its conversion does. */
export interface Value {
  readonly name: string
  /** Entries that it becomes. @default 1 */
  readonly parts?: number
  /** The conversion throws after it emitted its parts. */
  readonly throws?: string
  readonly size?: number
  readonly weight?: number
  /** Bytes of the raw input. */
  readonly rawBytes?: number
  /** What `keyBy` gives for it, in a harness that is `keyed`. */
  readonly key?: number
  /** What the writer's `orderKey` gives for its entries, in a harness that is `ordered`. */
  readonly order?: unknown
  /** What the writer's `destination` gives for its entries, in a harness with `destinations`. */
  readonly to?: unknown
}

export interface Entry {
  readonly name: string
  readonly size: number
  readonly weight: number
  readonly order?: unknown
  readonly to?: unknown
}

/** What the writer under test has beside `convert` and `submit`. */
export interface Shape {
  /** Values come with the keys of `keyBy`. */
  readonly keyed?: boolean
  /** It has `orderKey`: an entry's `order`; one that is an Error is thrown. */
  readonly ordered?: boolean
  /** It has `destination`: an entry's `to`; one that is an Error is thrown. */
  readonly destinations?: boolean
  readonly answers?: 'entry' | 'request'
  /** Instead of the conversion that values describe. */
  readonly convert?: (value: Value, emit: (entry: Entry) => void) => unknown
}

/** A request that waits for the test to answer it. */
export interface Request {
  readonly names: readonly string[]
  readonly weight: number
  readonly trigger: string
  readonly destination: string
  readonly attempt: number
  readonly replaySuspect: boolean
  readonly signal: AbortSignal
  readonly sentAt: number
  answer(outcome: unknown): Promise<void>
  reject(error: unknown): Promise<void>
}

/** Plays the tracker, and notes whatever the engine must never do. */
export class FakeSettlement implements Settlement {
  readonly references: number[] = []
  readonly settled: number[] = []
  readonly givenBack: number[] = []
  /** Tokens of splits that were given back. */
  readonly released: Set<number> = new Set()
  readonly suspects: Set<number> = new Set()
  readonly refusals: Refusal[] = []
  readonly violations: string[] = []
  /** What becomes of a refusal. */
  decide: (refusal: Refusal) => Promise<boolean> = () => Promise.resolve(true)

  token(): number {
    return this.references.push(1) - 1
  }

  became(token: number, entries: number): void {
    this.references[token] = (this.references[token] ?? Number.NaN) + entries - 1
    this.#check(token)
  }

  settle(token: number): void {
    this.settled.push(token)
    this.#lower(token)
  }

  settleAll(tokens: Float64Array, count: number): void {
    for (const token of tokens.subarray(0, count)) this.settle(token)
  }

  returned(token: number): void {
    this.givenBack.push(token)
    if (!this.released.has(token)) this.violations.push(`token ${token} was returned although its split was not`)
    this.#lower(token)
  }

  isReleased(token: number): boolean {
    return this.released.has(token)
  }

  isReplaySuspect(token: number): boolean {
    return this.suspects.has(token)
  }

  refused(refusal: Refusal): Promise<boolean> {
    this.refusals.push(refusal)
    return this.decide(refusal)
  }

  get unsettled(): number {
    return this.references.filter((count) => count > 0).length
  }

  #lower(token: number): void {
    this.references[token] = (this.references[token] ?? Number.NaN) - 1
    this.#check(token)
  }

  #check(token: number): void {
    if (!((this.references[token] ?? Number.NaN) >= 0))
      this.violations.push(`token ${token} was settled once too often`)
  }
}

class TestWriter extends AsyncSinkWriter<Value, Entry> {
  readonly send: (batch: Batch<Entry>, context: SubmitContext) => Promise<SubmitOutcome>
  protected override readonly answers: 'entry' | 'request'
  readonly #convert: Shape['convert']

  constructor(
    context: ConstructorParameters<typeof AsyncSinkWriter>[0],
    options: AsyncSinkOptions,
    shape: Shape,
    send: TestWriter['send'],
  ) {
    super(context, options)
    this.send = send
    this.answers = shape.answers ?? 'entry'
    this.#convert = shape.convert
    if (shape.ordered === true) this.orderKey = ({ order }) => given(order) as number
    if (shape.destinations === true) this.destination = ({ to }) => given(to) as string
  }

  protected convert(value: Value, emit: (entry: Entry) => void): void {
    if (this.#convert !== undefined) return this.#convert(value, emit) as undefined
    const { name, parts = 1, throws, size = 0, weight = 1, order, to } = value
    const rest = { ...(order === undefined ? {} : { order }), ...(to === undefined ? {} : { to }) }
    for (let part = 0; part < parts; part++) {
      emit({ name: parts === 1 ? name : `${name}.${part}`, size, weight, ...rest })
    }
    if (throws !== undefined) throw new Error(throws)
  }

  protected submit(batch: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome> {
    return this.send(batch, context)
  }

  protected override sizeInBytes({ size }: Entry): number {
    return size
  }

  protected override weight({ weight }: Entry): number {
    return weight
  }
}

function given(what: unknown): unknown {
  if (what instanceof Error) throw what
  return what
}

/** A clock whose test may let something arrive in the poll phase that follows the timers. */
class PolledClock extends VirtualClock {
  onPoll: (() => void) | undefined

  override afterPoll(callback: () => void): void {
    this.onPoll?.()
    super.afterPoll(callback)
  }
}

/** A writer on virtual time whose every request the test answers. */
export class Harness {
  readonly clock = new PolledClock()
  readonly settlement = new FakeSettlement()
  readonly metrics = new MetricRegistry()
  readonly failures: SluiceError[] = []
  readonly requests: Request[] = []
  readonly writer: TestWriter
  /** Answers requests at once, as long as it is set; undefined leaves one to the test. */
  autoAnswer: ((names: readonly string[], request: Request) => SubmitOutcome | undefined) | undefined
  readonly #keyed: boolean

  constructor(options: Partial<AsyncSinkOptions> = {}, random = seededRandom(1), shape: Shape = {}) {
    const { clock, settlement, metrics } = this
    this.#keyed = shape.keyed === true
    const context = {
      sinkUid: 'test',
      logger: silentLogger,
      metrics,
      clock,
      random,
      settlement,
      fail: (error: SluiceError): void => void this.failures.push(error),
      requestCheckpoint: () => {},
      ...(shape.keyed === undefined ? {} : { keyed: shape.keyed }),
    }
    const limits = {
      maxBatchSize: 4,
      maxInFlightRequests: 2,
      maxBufferedRequests: 20,
      maxTimeInBufferMS: 1000,
      ...options,
    }
    this.writer = new TestWriter(context, limits, shape, (batch, submitContext) => this.#send(batch, submitContext))
  }

  /** Offers values; gives back how many were taken. */
  offer(...values: readonly (Value | string)[]): number {
    const { settlement } = this
    const list = values.map((value) => (typeof value === 'string' ? { name: value } : value))
    const first = settlement.references.length
    for (const _ of list) settlement.token()
    const taken = this.writer.write(
      {
        values: list,
        tokens: Float64Array.from(list, (_, index) => first + index),
        byteLengths: Uint32Array.from(list, ({ rawBytes = 0 }) => rawBytes),
        ...(this.#keyed ? { keys: Float64Array.from(list, ({ key = 0 }) => key) } : {}),
      },
      0,
      list.length,
    )
    settlement.references.length = first + taken
    return taken
  }

  /** Requests sent since the last call. */
  sent(): readonly Request[] {
    return this.requests.splice(0)
  }

  /** The one request that was sent since the last look. */
  async only(): Promise<Request> {
    await this.clock.flush()
    const [request, ...others] = this.sent()
    if (request === undefined || others.length > 0) throw new Error(`${others.length + 1} requests, not 1`)
    return request
  }

  metric(name: keyof typeof SINK_METRICS, labels?: Readonly<Record<string, string>>): number {
    const samples = this.metrics.collect().filter(({ definition }) => definition.name === name)
    const wanted = JSON.stringify(labels ?? {})
    return samples.find((sample) => JSON.stringify(sample.labels) === wanted)?.value ?? Number.NaN
  }

  /** Accepted minus every outcome minus what lies in hand: 0 or the identity is broken. */
  imbalance(): number {
    const { accepted, written, duplicate, dropped, deadLettered, returned, abandoned, inHand } = this.writer.status()
    return accepted - written - duplicate - dropped - deadLettered - returned - abandoned - inHand
  }

  #send(batch: Batch<Entry>, { attempt, signal, replaySuspect }: SubmitContext): Promise<SubmitOutcome> {
    const sent = batch.entries.map(({ name }) => name)
    const { promise, resolve, reject } = Promise.withResolvers<SubmitOutcome>()
    const { clock } = this
    const request: Request = {
      names: sent,
      weight: batch.weight,
      trigger: batch.trigger,
      destination: batch.destination,
      attempt,
      replaySuspect,
      signal,
      sentAt: clock.now(),
      answer(outcome) {
        resolve(outcome as SubmitOutcome)
        return clock.flush()
      },
      reject(error) {
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- a sink may throw anything
        reject(error)
        return clock.flush()
      },
    }
    this.requests.push(request)
    const outcome = this.autoAnswer?.(sent, request)
    if (outcome !== undefined) resolve(outcome)
    return promise
  }
}

/** 'a' and 4: a0 to a3. */
export function names(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`)
}

export function reason(code: string): { readonly code: string; readonly message: string } {
  return { code, message: `message of ${code}` }
}

export const WRITTEN = ALL_WRITTEN

/** A `random` that makes every delay between repeats the shortest: 50, 100, 200 ms and so on with the defaults. */
export const leastJitter = (): number => 0

/** Numbers as seen from the outside when nothing is in hand any more. */
export const NOTHING_LEFT = { inHand: 0, bufferedRecords: 0, inFlightRequests: 0, bufferedBytes: 0 }
