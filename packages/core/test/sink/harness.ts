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
}

export interface Entry {
  readonly name: string
  readonly size: number
  readonly weight: number
}

/** A request that waits for the test to answer it. */
export interface Request {
  readonly names: readonly string[]
  readonly weight: number
  readonly trigger: string
  readonly attempt: number
  readonly signal: AbortSignal
  readonly sentAt: number
  answer(outcome: unknown): Promise<void>
  reject(error: unknown): Promise<void>
}

/** Plays the tracker, and notes whatever the engine must never do. */
export class FakeSettlement implements Settlement {
  readonly references: number[] = []
  readonly settled: number[] = []
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
    this.references[token] = (this.references[token] ?? Number.NaN) - 1
    this.#check(token)
  }

  settleAll(tokens: Float64Array, count: number): void {
    for (const token of tokens.subarray(0, count)) this.settle(token)
  }

  returned(token: number): void {
    this.settle(token)
  }

  isReleased(): boolean {
    return false
  }

  isReplaySuspect(): boolean {
    return false
  }

  refused(refusal: Refusal): Promise<boolean> {
    this.refusals.push(refusal)
    return this.decide(refusal)
  }

  get unsettled(): number {
    return this.references.filter((count) => count > 0).length
  }

  #check(token: number): void {
    if (!((this.references[token] ?? Number.NaN) >= 0))
      this.violations.push(`token ${token} was settled once too often`)
  }
}

class TestWriter extends AsyncSinkWriter<Value, Entry> {
  readonly send: (batch: Batch<Entry>, context: SubmitContext) => Promise<SubmitOutcome>

  constructor(
    context: ConstructorParameters<typeof AsyncSinkWriter>[0],
    options: AsyncSinkOptions,
    send: TestWriter['send'],
  ) {
    super(context, options)
    this.send = send
  }

  protected convert({ name, parts = 1, throws, size = 0, weight = 1 }: Value, emit: (entry: Entry) => void): void {
    for (let part = 0; part < parts; part++) emit({ name: parts === 1 ? name : `${name}.${part}`, size, weight })
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
  /** Answers requests at once, as long as it is set. */
  autoAnswer: ((names: readonly string[]) => SubmitOutcome) | undefined

  constructor(options: Partial<AsyncSinkOptions> = {}, random = seededRandom(1)) {
    const { clock, settlement, metrics } = this
    const context = {
      sinkUid: 'test',
      logger: silentLogger,
      metrics,
      clock,
      random,
      settlement,
      fail: (error: SluiceError): void => void this.failures.push(error),
      requestCheckpoint: () => {},
    }
    const limits = {
      maxBatchSize: 4,
      maxInFlightRequests: 2,
      maxBufferedRequests: 20,
      maxTimeInBufferMS: 1000,
      ...options,
    }
    this.writer = new TestWriter(context, limits, (batch, submitContext) => this.#send(batch, submitContext))
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

  #send(batch: Batch<Entry>, { attempt, signal }: SubmitContext): Promise<SubmitOutcome> {
    const sent = batch.entries.map(({ name }) => name)
    const { promise, resolve, reject } = Promise.withResolvers<SubmitOutcome>()
    const { clock } = this
    this.requests.push({
      names: sent,
      weight: batch.weight,
      trigger: batch.trigger,
      attempt,
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
    })
    if (this.autoAnswer !== undefined) resolve(this.autoAnswer(sent))
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
