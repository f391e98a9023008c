import { type DeadLetter, readDeadLetters } from '@sluice/core'
import { type LedgerEntry, seededRandom } from '@sluice/core/testing'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { CampaignReport, GeneratedRecord, PipelineUnderTest, RunContext } from './campaign.ts'
import type { Figures } from './figures.ts'
import { SubjectProcess } from './kill/subject-process.ts'
import {
  type Books,
  bookReport,
  closeBooks,
  emptyBooks,
  type Outcomes,
  outcomesOf,
  type Unplanned,
} from './ledger/books.ts'
import { Generator } from './ledger/generator.ts'
import { settled } from './ledger/settled.ts'

const TIME_BEFORE_START_MS = 600_000
const DRAIN_DEADLINE_MS = 10_000
/** A process that has nothing left to do is seen at once; this is for one that never ends. */
const STORED_DEADLINE_MS = 300_000
/** All that has arrived is compared each time, in the process that the servers are in. */
const LOOK_MS = 500

/** One process that writes to a store while the way there is broken, or while its records are. */
export interface Trial<Pipeline extends PipelineUnderTest, Facts> {
  readonly campaign: string
  readonly keys: number
  open(context: RunContext): Promise<Pipeline>
  /** The records of a run, in order. */
  records(
    next: (key?: number) => GeneratedRecord,
    context: RunContext,
    random: () => number,
  ): readonly GeneratedRecord[]
  /** Whether the store is not to take it. */
  isBad(record: GeneratedRecord): boolean
  /** Puts the faults in force, before anything is written. */
  prepare(pipeline: Pipeline, start: TrialStart): Promise<Prepared<Facts>>
  readonly planned: readonly Unplanned[]
  judge(facts: Facts): TrialVerdict
}

export interface TrialStart {
  readonly records: readonly GeneratedRecord[]
  readonly context: RunContext
  readonly random: () => number
  /** Of the run, and empty. */
  readonly letterFolder: string
}

/** A trial whose faults are in force. */
export interface Prepared<Facts> {
  /** For the subject, beside those of the pipeline. */
  readonly settings: object
  /** Faults on their way, for the line of progress. */
  readonly faults: number
  /** Acts on a running subject, and says when more is produced; without it all records are produced before. */
  during?(more: (records: number) => Promise<void>): Promise<void>
  /** When the process has ended. */
  facts(letters: readonly DeadLetter[]): Promise<Facts>
}

export interface TrialVerdict {
  readonly broken: readonly string[]
  readonly faultsPlanned: number
  readonly faultsFired: number
  readonly requestsRepeated: number
  /** Records that have a dead letter: these need not be stored. */
  readonly letters?: readonly LedgerEntry[]
  /** Further figures of the closing line. */
  readonly figures: object
}

const NOTHING: TrialVerdict = { broken: [], faultsPlanned: 0, faultsFired: 0, requestsRepeated: 0, figures: {} }

/** Never rejects. */
export async function runTrial<Pipeline extends PipelineUnderTest, Facts>(
  trial: Trial<Pipeline, Facts>,
  context: RunContext,
): Promise<CampaignReport> {
  const startedAt = performance.now()
  const run = new TrialRun(trial, context)
  await run.carryOut()
  return run.report((performance.now() - startedAt) / 1000)
}

class TrialRun<Pipeline extends PipelineUnderTest, Facts> {
  readonly #trial: Trial<Pipeline, Facts>
  readonly #context: RunContext
  readonly #books: Books = emptyBooks()
  #verdict: TrialVerdict = NOTHING
  #figures: Figures | undefined

  constructor(trial: Trial<Pipeline, Facts>, context: RunContext) {
    this.#trial = trial
    this.#context = context
  }

  async carryOut(): Promise<void> {
    const { signal } = this.#context
    try {
      await using pipeline = await this.#trial.open(this.#context)
      try {
        this.#verdict = this.#trial.judge(await this.#write(pipeline))
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
    const { letters, figures, ...verdict } = this.#verdict
    const { refusesRepeats = false } = this.#context.pipeline
    const reported: Outcomes = outcomesOf([this.#figures])
    const report = bookReport(this.#context, {
      campaign: this.#trial.campaign,
      books: this.#books,
      outcomes: letters === undefined ? reported : { ...reported, deadLettered: letters.length },
      planned: [...this.#trial.planned, ...(refusesRepeats ? (['dropped'] as const) : [])],
      ...(letters === undefined ? {} : { letters }),
      ...verdict,
      seconds,
    })
    return Object.assign(report, figures)
  }

  async #write(pipeline: Pipeline): Promise<Facts> {
    const { seed, signal, sabotage, folder } = this.#context
    const random = seededRandom(seed)
    const generator = new Generator(seed, Date.now() - TIME_BEFORE_START_MS, this.#trial.keys)
    const records = this.#trial.records((key) => generator.next(key), this.#context, random)
    const letterFolder = join(folder, 'letters')
    await mkdir(letterFolder)
    const prepared = await this.#trial.prepare(pipeline, { records, context: this.#context, random, letterFolder })
    let from = 0
    const more = async (count: number): Promise<void> => {
      const portion = records.slice(from, from + count)
      from += portion.length
      this.#books.produced = [...this.#books.produced, ...(await pipeline.produce(portion))]
    }
    if (prepared.during === undefined) await more(records.length)
    pipeline.gate.begin()
    const { settings } = prepared
    await using subject = await SubjectProcess.start(pipeline, {
      folder,
      number: 1,
      sabotage,
      killAt: undefined,
      settings,
    })
    this.#context.print(`${records.length} records, ${prepared.faults} faults on their way`)
    await this.#act(subject, prepared.during?.(more))
    await more(records.length)
    const { produced } = this.#books
    const good = produced.filter((_, index) => !this.#trial.isBad(records[index] as GeneratedRecord))
    if (!(await settled(pipeline, subject, good, signal, { deadlineMs: STORED_DEADLINE_MS, lookMs: LOOK_MS })))
      this.#books.failures.push('the process did not store everything in time')
    const { code, signal: endedBy } = await subject.stop(DRAIN_DEADLINE_MS)
    this.#figures = subject.figures()
    if (code !== 0) this.#books.failures.push(`the process ended with ${endedBy ?? `code ${code}`}, not with 0`)
    return prepared.facts(await lettersIn(letterFolder))
  }

  /** What is done to a subject ends when the subject does. */
  async #act(subject: SubjectProcess, acting: Promise<void> | undefined): Promise<void> {
    if (acting === undefined) return
    const crash = async (): Promise<void> => {
      await subject.exit
      this.#context.signal.throwIfAborted()
      subject.assertNotCrashed()
    }
    await Promise.race([acting, crash()])
  }
}

async function lettersIn(folder: string): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = []
  for await (const letter of readDeadLetters(folder)) letters.push(letter)
  return letters
}
