import type { Delivery } from '../dead-letters/delivery.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import { LazyGauge } from '../metrics/lazy-gauge.ts'
import { SOURCE_METRICS } from '../metrics/source-metrics.ts'
import type { SinkWriter } from '../sink/spi.ts'
import type { SourceReader, SourceSplit } from '../source/spi.ts'
import type { Assignments } from './assignments.ts'
import { callSlots } from './call-slots.ts'
import type { Lent } from './contexts.ts'
import { RateGate, type RateLimitStatus } from './rate-gate.ts'
import { Subtask } from './subtask.ts'

export interface EmissionPlan extends Pick<Lent, 'plan' | 'tracker' | 'fail' | 'requestCheckpoint'> {
  readonly delivery: Delivery
  readonly assignments: Assignments
  /** Inputs below this token are waited for by an open checkpoint. */
  openBarrier(): number | undefined
  splitFinished(splitId: string, subtask: number): void
}

/** Whether and how fast the subtasks of one attempt emit: what they share, and what holds them all. */
export class Emission {
  readonly #plan: EmissionPlan
  readonly #slots: ReturnType<typeof callSlots>
  readonly #gate: RateGate | undefined
  readonly #lags: LazyGauge[] = []
  #paused = false

  constructor(plan: EmissionPlan) {
    this.#plan = plan
    const { clock, rateLimit, steps } = plan.plan
    this.#slots = callSlots(steps)
    this.#gate = rateLimit === undefined ? undefined : new RateGate(rateLimit, { ...plan, clock })
  }

  get rateLimit(): RateLimitStatus | undefined {
    return this.#gate?.status()
  }

  /** Makes the loop that emits what the reader reads. */
  add(reader: SourceReader<unknown, SourceSplit>, index: number, writers: readonly SinkWriter<unknown>[]): void {
    const { tracker, delivery, assignments, fail } = this.#plan
    const { name, source, steps, clock, metrics } = this.#plan.plan
    const group = metrics.group({ job: name, source: source.uid })
    const emitLag = new LazyGauge(group, SOURCE_METRICS.currentEmitEventTimeLag, { subtask: String(index) })
    this.#lags.push(emitLag)
    const subtask = new Subtask({
      sourceUid: source.uid,
      reader,
      writers,
      tracker,
      steps,
      slots: this.#slots,
      clock,
      recordsEmitted: group.counter(JOB_METRICS.numRecordsEmitted),
      recordErrors: group.counter(SOURCE_METRICS.numRecordsInErrors),
      emitLag,
      rateGate: this.#gate,
      splitFinished: (splitId) => this.#plan.splitFinished(splitId, index),
      refused: (refusal) => delivery.refused(undefined, refusal),
      fail,
      openBarrier: () => this.#plan.openBarrier(),
    })
    if (this.#paused) subtask.pause()
    assignments.members.push({ reader, subtask })
  }

  /** Neither reads nor emits; what was emitted goes its way. */
  pause(): void {
    const { assignments } = this.#plan
    this.#paused = true
    assignments.pause()
    for (const { subtask } of assignments.members) subtask.pause()
  }

  resume(): void {
    const { assignments } = this.#plan
    this.#paused = false
    for (const { subtask } of assignments.members) subtask.resume()
    assignments.resume()
  }

  checkpointEnded(isStored: boolean): void {
    this.#gate?.checkpointEnded(isStored)
  }

  /** Emits nothing more, and takes its gauges out of the registry. */
  end(): void {
    for (const { subtask } of this.#plan.assignments.members) subtask.end()
    this.#gate?.end()
    for (const lag of this.#lags) lag.unregister()
  }
}
