import { seededRandom } from '@sluice/core/testing'
import type { Campaign, CampaignReport, RunContext } from '../campaign.ts'
import { type Figures } from '../figures.ts'
import { SubjectProcess } from '../kill/subject-process.ts'
import { type Books, bookReport, emptyBooks, outcomesOf } from '../ledger/books.ts'
import { Generator } from '../ledger/generator.ts'
import { Producer } from '../ledger/producer.ts'
import { attributeRepeats, coveredButMissing, storedUncovered } from '../ledger/repeats.ts'
import { settled } from '../ledger/settled.ts'
import { runOverMemory } from '../pipelines/memory-run.ts'
import { MEMORY_PIPELINES, type MemoryPipelineUnderTest } from '../pipelines/memory-servers.ts'
import { KINDS, type SignalPlan, signalPlan, signalProblems } from './plan.ts'
import { brokenSignalRules, graceSuffices, type SignalRecord } from './rules.ts'
import { strike } from './strike.ts'

const TIME_BEFORE_START_MS = 600_000
const DRAIN_DEADLINE_MS = 10_000
const RESTART_DELAY_MS = 400

/** SIGTERM at every moment of a process's life. */
export const sigtermCampaign: Campaign = {
  name: 'sigterm',
  summary: 'SIGTERM at any moment: nothing is lost, and nothing repeated when the grace suffices',
  pipelines: MEMORY_PIPELINES,
  faults: 'signals',
  sabotages: ['skip-flush', 'ack-early'],
  full: { faults: 50, records: 4_000 },
  quick: { faults: 10, records: 600 },
  problems: signalProblems,
  run,
}

async function run(context: RunContext): Promise<CampaignReport> {
  const startedAt = performance.now()
  const signals = new SigtermRun(context)
  await signals.carryOut()
  return signals.report((performance.now() - startedAt) / 1000)
}

class SigtermRun {
  readonly #context: RunContext
  readonly #books: Books = emptyBooks()
  readonly #signals: SignalRecord[] = []
  #last: { readonly figures: Figures | undefined; readonly firstWriteAtNs: bigint | undefined } | undefined
  #processes = 0

  constructor(context: RunContext) {
    this.#context = context
  }

  /** Never rejects. */
  async carryOut(): Promise<void> {
    await runOverMemory(this.#context, this.#books, (pipeline) => this.#signalAll(pipeline))
  }

  report(seconds: number): CampaignReport {
    const { size } = this.#context
    const lives = [...this.#signals, { firstWriteAtNs: this.#last?.firstWriteAtNs, coverage: undefined }]
    const repeats = attributeRepeats(this.#books.arrivals, lives, this.#books.produced)
    const calm = this.#signals.filter(graceSuffices).map(({ figures }) => figures)
    const landed = this.#signals.filter((each) => each.landed).length
    const report = bookReport(this.#context, {
      campaign: 'sigterm',
      books: this.#books,
      // What a process abandons that has no time left is planned.
      outcomes: outcomesOf([...calm, this.#last?.figures]),
      planned: [],
      faultsPlanned: size.faults,
      faultsFired: landed,
      requestsRepeated: repeats.requests,
      broken: brokenSignalRules(this.#signals, repeats.afterLife, repeats.within),
      seconds,
    })
    const kinds = KINDS.map((kind) => [kind, this.#signals.filter((each) => each.kind === kind).length] as const)
    const codes = this.#signals.map(({ code, endedBy }) => String(endedBy ?? code))
    return Object.assign(report, {
      kinds: Object.fromEntries(kinds),
      exits: Object.fromEntries(
        [...new Set(codes)].map((code) => [code, codes.filter((each) => each === code).length]),
      ),
      slowestMs: Math.round(Math.max(0, ...this.#signals.map(({ tookMs }) => tookMs))),
    })
  }

  async #signalAll(pipeline: MemoryPipelineUnderTest): Promise<void> {
    const { seed, size, signal } = this.#context
    const generator = new Generator(seed, Date.now() - TIME_BEFORE_START_MS)
    await using producer = new Producer(generator, (records) => pipeline.produce(records))
    this.#books.produced = producer.produced
    producer.start()
    const plans = signalPlan(size.faults, seededRandom(seed))
    for (const plan of plans) {
      signal.throwIfAborted()
      producer.allow(Math.ceil(size.records / plans.length))
      await this.#signal(plan, pipeline)
    }
    await producer.finish()
    await this.#finish(pipeline)
  }

  async #signal(plan: SignalPlan, pipeline: MemoryPipelineUnderTest): Promise<void> {
    const at = plan.kind === 'checkpoint' ? `${plan.failpoint}@${plan.nth}=SIGTERM` : undefined
    await using subject = await this.#start(pipeline, at)
    const struck = await strike(plan, subject, pipeline, this.#context.signal)
    const exit = await subject.exit
    const [coverage, arrivals, { produced }] = [await pipeline.coverage(), await pipeline.arrivals(), this.#books]
    const { firstWriteAtNs } = pipeline.gate
    const record: SignalRecord = {
      ...struck,
      number: this.#signals.length + 1,
      kind: plan.kind,
      code: exit.code,
      endedBy: exit.signal,
      figures: subject.figures(),
      firstWriteAtNs,
      coverage,
      coveredButMissing: coveredButMissing(coverage, produced, arrivals),
      storedUncovered: storedUncovered(
        coverage,
        produced,
        firstWriteAtNs === undefined ? [] : arrivals.filter(({ atNs }) => atNs >= firstWriteAtNs),
      ),
    }
    this.#signals.push(record)
    const { number, kind, unsettled, tookMs } = record
    this.#context.print(
      `signal ${number}/${this.#context.size.faults} ${kind}${record.landed ? '' : ' (missed)'}: unsettled ${unsettled}, ` +
        `ended with ${exit.signal ?? exit.code} after ${Math.round(tookMs)} ms, will be read again ${record.storedUncovered}`,
    )
  }

  /** Lets the last process store everything, and drains it. */
  async #finish(pipeline: MemoryPipelineUnderTest): Promise<void> {
    const { produced, failures } = this.#books
    await using subject = await this.#start(pipeline, undefined)
    this.#context.print(`all signals sent, ${produced.length} records produced; the last process stores the rest`)
    if (!(await settled(pipeline, subject, produced, this.#context.signal)))
      failures.push('the last process did not come to an end in time')
    const { code, signal } = await subject.stop(DRAIN_DEADLINE_MS)
    this.#last = { figures: subject.figures(), firstWriteAtNs: pipeline.gate.firstWriteAtNs }
    if (code !== 0) failures.push(`the last process ended with ${signal ?? `code ${code}`}, not with 0`)
  }

  #start(pipeline: MemoryPipelineUnderTest, killAt: string | undefined): Promise<SubjectProcess> {
    const { folder, sabotage } = this.#context
    pipeline.gate.begin()
    pipeline.acknowledgements?.gate.begin()
    pipeline.acknowledgements?.subjectEnded()
    const settings = { restartDelayMs: RESTART_DELAY_MS }
    return SubjectProcess.start(pipeline, { folder, number: ++this.#processes, sabotage, killAt, settings })
  }
}
