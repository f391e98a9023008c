import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '@sluice/core/testing'
import type { ProducedRecord, RunContext } from '../campaign.ts'
import { Generator } from '../ledger/generator.ts'
import { startFileLog, until } from '../pipelines/file-log-process.ts'
import type { FileLogFacts } from '../pipelines/file-log-report.ts'
import { arrivalOf, type FileLogUnderTest, openFileLog } from '../pipelines/file-log-servers.ts'
import { JOB } from '../pipelines/file-log-settings.ts'
import { damaged, damagePlan } from './damage.ts'
import { diskFaults } from './disk.ts'
import { judge } from './judge.ts'

/** Only the start and the end of a process make checkpoints. */
const NO_INTERVAL_MS = 600_000
const STATES_PER_PROCESS = 200
const STEP_MS = 30_000
const SHOWN_FAILURES = 10

export interface TornFigures {
  readonly resumed: number
  readonly refused: number
}

/** State of two checkpoints, whole. */
interface Template {
  readonly folder: string
  readonly newest: string
  /** Records that the checkpoint before the newest covers. */
  readonly before: number
}

export class TornRun {
  readonly #context: RunContext
  readonly #facts: FileLogFacts
  readonly #produced: ProducedRecord[] = []
  readonly #generator: Generator
  #processes = 0

  constructor(context: RunContext, facts: FileLogFacts) {
    this.#context = context
    this.#facts = facts
    this.#generator = new Generator(context.seed, Date.now() - NO_INTERVAL_MS)
    facts.produced = this.#produced
  }

  async carryOut(): Promise<TornFigures> {
    const pipeline = openFileLog(this.#context.folder)
    const figures = await this.#sweep(pipeline, await this.#template(pipeline))
    const disk = await diskFaults(this.#context, pipeline, (count) => this.#produce(pipeline, count))
    this.#facts.faultsPlanned += disk.planned
    this.#facts.faultsFired += disk.fired
    this.#facts.skipped.push(...disk.skipped)
    this.#facts.failures.push(...disk.failures)
    // Of the sweep each start is judged for itself: together they would hide what one of them has lost.
    this.#facts.arrivals = pipeline
      .journal()
      .filter(({ state }) => state === undefined)
      .map(arrivalOf)
    if (disk.planned === 0) this.#facts.produced = this.#produced.slice(0, this.#facts.arrivals.length)
    return figures
  }

  async #produce(pipeline: FileLogUnderTest, count: number): Promise<void> {
    this.#produced.push(...(await pipeline.produce(Array.from({ length: count }, () => this.#generator.next()))))
  }

  /** A third of the records lies before the last checkpoint but one, a third between the two, and a third after them. */
  async #template(pipeline: FileLogUnderTest): Promise<Template> {
    const third = Math.trunc(this.#context.size.records / 3)
    for (let part = 0; part < 2; part++) {
      await this.#produce(pipeline, third)
      const number = ++this.#processes
      await using child = await startFileLog(this.#context, pipeline, {
        process: number,
        checkpointIntervalMs: NO_INTERVAL_MS,
      })
      const all = (): boolean => pipeline.journal().length >= this.#produced.length
      await until('the records before the damage are stored', all, STEP_MS, this.#context.signal)
      const { code, signal } = await child.stop(STEP_MS)
      if (code !== 0) throw new Error(`process ${number} ended with ${signal ?? `code ${code}`}, not with 0`)
    }
    const stateFolder = join(pipeline.subject.settings.stateFolder, JOB)
    const folder = join(this.#context.folder, 'template')
    cpSync(stateFolder, folder, { recursive: true, filter: (path) => !/owner-\d+$/.test(path) })
    const names = readdirSync(folder)
      .filter((name) => name.startsWith('checkpoint-'))
      .toSorted()
    const [newest, before] = [names.at(-1), names.at(-2)]
    if (newest === undefined || before === undefined)
      throw new Error(`two checkpoints are needed, found ${names.join()}`)
    const [last, earlier] = [newest, before].map((name) => positionIn(join(folder, name)))
    if (last !== 2 * third || earlier !== third) throw new Error(`the two checkpoints are at ${earlier} and ${last}`)
    await this.#produce(pipeline, third)
    return { folder, newest, before: third }
  }

  async #sweep(pipeline: FileLogUnderTest, { folder, newest, before }: Template): Promise<TornFigures> {
    const { size, seed } = this.#context
    const whole = readFileSync(join(folder, newest))
    const plan = damagePlan(whole.length, size.faults, seededRandom(seed))
    this.#context.print(`${plan.length} damaged states of a checkpoint of ${whole.length} bytes`)
    this.#facts.faultsPlanned += plan.length
    const total = { resumed: 0, refused: 0 }
    for (let from = 0; from < plan.length; from += STATES_PER_PROCESS) {
      const faults = new Map<string, string>()
      for (const [index, damage] of plan.slice(from, from + STATES_PER_PROCESS).entries()) {
        const state = join(this.#context.folder, 'sweep', String(from + index))
        mkdirSync(state, { recursive: true })
        cpSync(folder, join(state, JOB), { recursive: true })
        writeFileSync(join(state, JOB, newest), damaged(whole, damage))
        faults.set(state, `${damage.how} at byte ${damage.at}${damage.how === 'cut' ? '' : `, bit ${damage.bit}`}`)
      }
      await this.#starts(pipeline, faults, before, total)
      rmSync(join(this.#context.folder, 'sweep'), { recursive: true })
      this.#context.print(
        `${Math.min(plan.length, from + STATES_PER_PROCESS)} starts: ${total.resumed} resumed, ${total.refused} refused`,
      )
    }
    return total
  }

  /** Starts a job on each state, and judges from the journal what it did. */
  async #starts(
    pipeline: FileLogUnderTest,
    faults: ReadonlyMap<string, string>,
    before: number,
    total: { resumed: number; refused: number },
  ): Promise<void> {
    const number = ++this.#processes
    await using child = await startFileLog(this.#context, pipeline, {
      process: number,
      checkpointIntervalMs: NO_INTERVAL_MS,
      sweep: [...faults.keys()],
    })
    const end = await child.exit
    if (end.code !== 0) throw new Error(`the starts on damaged state ended with ${end.signal ?? `code ${end.code}`}`)
    const ended = new Map(pipeline.events().flatMap((event) => (event.what === 'ended' ? [[event.state, event]] : [])))
    const journal = Map.groupBy(pipeline.journal(), ({ state }) => state)
    for (const [state, fault] of faults) {
      const event = ended.get(state)
      if (event === undefined) continue
      this.#facts.faultsFired++
      const stored = (journal.get(state) ?? []).map((line) => arrivalOf(line).entry)
      const { outcome, missing, failure } = judge({ fault, code: event.code, stored }, this.#produced, before)
      if (outcome !== 'wrong') total[outcome]++
      this.#facts.missingElsewhere += missing
      if (failure !== undefined && this.#facts.failures.length < SHOWN_FAILURES) this.#facts.failures.push(failure)
    }
  }
}

/** Read here by eye, not by the code that is judged. */
function positionIn(path: string): number {
  return Number(/"next":(\d+)/.exec(readFileSync(path, 'utf8'))?.[1])
}
