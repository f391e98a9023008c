import { type DeadLetter, readDeadLetters } from '@sluice/core'
import { type LedgerEntry, seededRandom } from '@sluice/core/testing'
import type { JournalledRequest } from '@sluice/testkit'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { CampaignReport, GeneratedRecord, ProducedRecord, RunContext } from '../campaign.ts'
import type { Figures } from '../figures.ts'
import { SubjectProcess } from '../kill/subject-process.ts'
import { type Books, bookReport, closeBooks, emptyBooks, type Outcomes, outcomesOf } from '../ledger/books.ts'
import { Generator } from '../ledger/generator.ts'
import { settled } from '../ledger/settled.ts'
import { openPrometheus, type PrometheusPipelineUnderTest } from '../pipelines/prometheus-servers.ts'
import type { PrometheusSettings } from '../pipelines/prometheus-settings.ts'
import type { FaultPlan } from './fault-plan.ts'
import { BAD_METRIC, poisonOf } from './poison.ts'
import { repeatedRequests, type SentRequest, sentRequests } from './sent.ts'

const TIME_BEFORE_START_MS = 600_000
const DRAIN_DEADLINE_MS = 10_000
/** A process that has nothing left to do is seen at once; this is for one that never ends. */
const STORED_DEADLINE_MS = 300_000
/** All that has arrived is compared each time, in the process that the proxy is in. */
const LOOK_MS = 500

/** One process that writes to a real Prometheus while the way there is broken, or while its records are. */
export interface Trial {
  readonly campaign: string
  readonly keys: number
  /** The records of a run, in order. */
  records(
    next: (key?: number) => GeneratedRecord,
    context: RunContext,
    random: () => number,
  ): readonly GeneratedRecord[]
  plan(context: RunContext, random: () => number): FaultPlan
  readonly settings: Partial<PrometheusSettings>
  readonly planned: readonly (keyof Outcomes)[]
  judge(facts: TrialFacts): TrialVerdict
}

export interface TrialFacts {
  readonly records: readonly GeneratedRecord[]
  readonly journal: readonly JournalledRequest[]
  readonly sent: readonly SentRequest[]
  readonly plan: FaultPlan
  readonly faultsPlanned: number
  readonly faultsFired: number
  readonly letters: readonly DeadLetter[]
  /** Samples that the receiver holds and should have refused. */
  readonly badStored: number
}

export interface TrialVerdict {
  readonly broken: readonly string[]
  readonly faultsPlanned: number
  readonly faultsFired: number
  readonly letters?: readonly LedgerEntry[]
  /** Further figures of the closing line. */
  readonly figures: object
}

export async function runTrial(trial: Trial, context: RunContext): Promise<CampaignReport> {
  const startedAt = performance.now()
  const run = new TrialRun(trial, context)
  await run.carryOut()
  return run.report((performance.now() - startedAt) / 1000)
}

class TrialRun {
  readonly #trial: Trial
  readonly #context: RunContext
  readonly #books: Books = emptyBooks()
  #facts: TrialFacts | undefined
  #figures: Figures | undefined

  constructor(trial: Trial, context: RunContext) {
    this.#trial = trial
    this.#context = context
  }

  /** Never rejects. */
  async carryOut(): Promise<void> {
    const { pipeline: definition, folder, signal } = this.#context
    try {
      await using pipeline = await openPrometheus(definition.name, folder)
      try {
        await this.#write(pipeline)
        this.#books.completed = true
      } finally {
        await closeBooks(this.#books, pipeline)
      }
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error
      this.#books.failures.push(reason instanceof Error ? reason.message : String(reason))
    }
  }

  report(seconds: number): CampaignReport {
    const facts = this.#facts
    const verdict: TrialVerdict =
      facts === undefined ? { broken: [], faultsPlanned: 0, faultsFired: 0, figures: {} } : this.#trial.judge(facts)
    const { broken, faultsPlanned, faultsFired, letters, figures } = verdict
    const { refusesRepeats = false } = this.#context.pipeline
    const report = bookReport(this.#context, {
      campaign: this.#trial.campaign,
      books: this.#books,
      outcomes: { ...outcomesOf([this.#figures]), deadLettered: letters?.length ?? 0 },
      planned: [...this.#trial.planned, ...(refusesRepeats ? (['dropped'] as const) : [])],
      ...(letters === undefined ? {} : { letters }),
      faultsPlanned,
      faultsFired,
      requestsRepeated: repeatedRequests(facts?.sent ?? []),
      broken,
      seconds,
    })
    return Object.assign(report, { requests: facts?.journal.length ?? 0, ...figures })
  }

  async #write(pipeline: PrometheusPipelineUnderTest): Promise<void> {
    const { seed, size, signal, sabotage, folder } = this.#context
    const { keys, settings } = this.#trial
    const random = seededRandom(seed)
    const generator = new Generator(seed, Date.now() - TIME_BEFORE_START_MS, keys)
    const records = this.#trial.records((key) => generator.next(key), this.#context, random)
    const plan = this.#trial.plan(this.#context, random)
    for (const rule of plan.rules) pipeline.proxy.faults.add(rule)
    const produced: readonly ProducedRecord[] = await pipeline.produce(records)
    this.#books.produced = produced
    const letterFolder = join(folder, 'letters')
    await mkdir(letterFolder)
    pipeline.gate.begin()
    await using subject = await SubjectProcess.start(pipeline, {
      folder,
      number: 1,
      sabotage,
      killAt: undefined,
      settings: { ...settings, ...(settings.letterFolder === undefined ? {} : { letterFolder }) },
    })
    this.#context.print(`${size.records} records, ${plan.rules.length} faults on their way`)
    const good = produced.filter((_, index) => poisonOf(records[index] ?? { payload: '' }) === undefined)
    if (!(await settled(pipeline, subject, good, signal, { deadlineMs: STORED_DEADLINE_MS, lookMs: LOOK_MS })))
      this.#books.failures.push('the process did not store everything in time')
    const { code, signal: endedBy } = await subject.stop(DRAIN_DEADLINE_MS)
    this.#figures = subject.figures()
    if (code !== 0) this.#books.failures.push(`the process ended with ${endedBy ?? `code ${code}`}, not with 0`)
    const { journal } = pipeline.proxy
    const counts = Object.values(pipeline.proxy.counters().faults)
    this.#facts = {
      records,
      journal,
      sent: sentRequests(journal),
      plan,
      faultsPlanned: plan.rules.length,
      faultsFired: counts.reduce((sum, { fired }) => sum + fired, 0),
      letters: await lettersIn(letterFolder),
      badStored: await pipeline.count(BAD_METRIC),
    }
  }
}

async function lettersIn(folder: string): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = []
  for await (const letter of readDeadLetters(folder)) letters.push(letter)
  return letters
}
