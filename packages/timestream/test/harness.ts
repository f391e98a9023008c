import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Clock,
  type Logger,
  MetricRegistry,
  type Refusal,
  type Settlement,
  type SinkContext,
  type SinkWriter,
  type SluiceError,
  systemClock,
  type Timer,
} from '@sluice/core'

/** Remembers what the writer said about each token. */
class FakeSettlement implements Settlement {
  readonly settled: number[] = []
  readonly multiplied = new Map<number, number>()
  readonly refusals: Refusal[] = []
  /** True: every refused record becomes a dead letter. */
  delivers = false

  became(token: number, entries: number): void {
    this.multiplied.set(token, entries)
  }

  settle(token: number): void {
    this.settled.push(token)
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
    return Promise.resolve(this.delivers)
  }
}

export interface LogLine {
  readonly level: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** Time that moves by hand. */
export class ManualClock implements Clock {
  #now = 0
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>()

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#now + delayMs, callback }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  afterPoll(callback: () => void): void {
    setImmediate(callback)
  }

  advance(ms: number): void {
    this.#now += ms
    const due = Array.from(this.#timers).filter(({ at }) => at <= this.#now)
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback()
  }
}

export class Harness {
  readonly settlement = new FakeSettlement()
  readonly metrics = new MetricRegistry()
  readonly log: LogLine[] = []
  readonly failures: SluiceError[] = []
  readonly clock: Clock
  readonly context: SinkContext
  #token = 0

  constructor(clock: Clock = systemClock) {
    this.clock = clock
    const at =
      (level: string): Logger['info'] =>
      (fields, message) =>
        this.log.push({ level, fields: { ...fields }, message })
    this.context = {
      sinkUid: 'timestream',
      logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
      metrics: this.metrics,
      clock,
      random: () => 0,
      settlement: this.settlement,
      requestCheckpoint: () => {},
      fail: (error) => {
        this.failures.push(error)
      },
    }
  }

  /** Writes all values, each with its own token, counted from 0, and sends what is buffered. */
  async write<In>(writer: SinkWriter<In>, values: readonly In[]): Promise<void> {
    const tokens = Float64Array.from(values, () => this.#token++)
    const batch = { values, tokens, byteLengths: new Uint32Array(values.length) }
    let from = 0
    while (from < values.length) {
      from = writer.write(batch, from, values.length)
      if (from < values.length) await writer.ready()
    }
    writer.hasten()
  }

  /** Value of a metric; of all its labels together. */
  metric(name: string): number | undefined {
    const samples = this.metrics.collect().filter(({ definition }) => definition.name === name)
    return samples.length === 0 ? undefined : samples.reduce((sum, { value }) => sum + value, 0)
  }

  lines(text: string): readonly LogLine[] {
    return this.log.filter(({ message }) => message.includes(text))
  }
}

/** Waits until the condition holds, at most `deadlineMs`. */
export async function until(what: string, condition: () => boolean, deadlineMs = 30_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await sleep(2)
  }
}
