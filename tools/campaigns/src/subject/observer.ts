import { openSync, writeSync } from 'node:fs'
import { type Counter, type Job, SOURCE_METRICS } from '@sluice/core'
import { encodeFigures, type Figures, FIGURES_BYTES } from '../figures.ts'
import { FIGURES_VARIABLE, requireVariable } from './settings.ts'

const INTERVAL_MS = 4

/** Keeps the figures of a job in the file of `SLUICE_CAMPAIGN_FIGURES`, as long as the process lives. */
export class Observer {
  readonly #job: Job
  readonly #fetched: Counter
  readonly #fd: number
  readonly #buffer = Buffer.alloc(FIGURES_BYTES)
  #ordinal = 0
  #covered = 0
  #advanced = 0
  #diedAt = ''

  constructor(job: Job, sourceUid: string) {
    this.#job = job
    this.#fetched = job.metrics
      .group({ job: job.status().name, source: sourceUid })
      .counter(SOURCE_METRICS.numRecordsIn)
    this.#fd = openSync(requireVariable(FIGURES_VARIABLE), 'w')
    this.write(0)
    setInterval(() => this.write(0), INTERVAL_MS).unref()
  }

  /**
   * Called for every record just before it is emitted. A whole chunk of records can be sent in the turn that emits them: a sink that sends
   * at once calls {@link Observer.write} first, so that the file is never behind what a store may hold.
   */
  emitting(): void {
    this.write(1)
  }

  /**
   * @param emitting - records that are being emitted and that the job does not count yet.
   * @param diedAt - the failpoint at which the process is about to be struck; stays in the figures.
   */
  write(emitting: number, diedAt = ''): Figures {
    if (diedAt !== '') this.#diedAt = diedAt
    const { attempt, state, emitted, unsettled, repeatIfKilledNow, sinks, checkpoints } = this.#job.status()
    const covered = emitted - repeatIfKilledNow
    if (covered > this.#covered) this.#advanced++
    this.#covered = covered
    const writers = Object.values(sinks)
    const total = (of: (writer: (typeof writers)[number]) => number): number =>
      writers.reduce((sum, writer) => sum + of(writer), 0)
    const figures: Figures = {
      ordinal: ++this.#ordinal,
      attempt,
      state,
      fetched: this.#fetched.value,
      emitted: emitted + emitting,
      unsettled: unsettled + emitting,
      repeatable: repeatIfKilledNow + emitting,
      buffered: total((writer) => writer.bufferedRecords),
      inFlight: total((writer) => writer.inFlightRecords),
      completed: checkpoints?.completed ?? 0,
      advanced: this.#advanced,
      lastCheckpointId: checkpoints?.last?.id ?? 0,
      dropped: total((writer) => writer.dropped),
      returned: total((writer) => writer.returned),
      abandoned: total((writer) => writer.abandoned),
      deadLettered: total((writer) => writer.deadLettered),
      wallMs: Date.now(),
      diedAt: this.#diedAt,
    }
    encodeFigures(figures, this.#buffer)
    writeSync(this.#fd, this.#buffer, 0, FIGURES_BYTES, 0)
    return figures
  }
}
