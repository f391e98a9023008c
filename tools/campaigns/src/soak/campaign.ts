import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '@sluice/core/testing'
import type { Campaign, CampaignReport, RunContext, Size } from '../campaign.ts'
import type { Figures } from '../figures.ts'
import { SubjectProcess } from '../kill/subject-process.ts'
import { type Books, bookReport, emptyBooks, outcomesOf } from '../ledger/books.ts'
import { Generator } from '../ledger/generator.ts'
import { Producer } from '../ledger/producer.ts'
import { attributeRepeats } from '../ledger/repeats.ts'
import { settled } from '../ledger/settled.ts'
import { runOverMemory } from '../pipelines/memory-run.ts'
import { MEMORY_PIPELINES, type MemoryPipelineUnderTest } from '../pipelines/memory-servers.ts'
import { VITALS_VARIABLE } from '../subject/settings.ts'
import type { Vitals } from '../subject/vitals.ts'
import { breakOnce, type Fault, FAULTS } from './faults.ts'
import { brokenSoakRules, type Growth, growth } from './flat.ts'

const TIME_BEFORE_START_MS = 600_000
const DRAIN_DEADLINE_MS = 10_000
const RESTART_DELAY_MS = 50
const MAX_CALM_MS = 1_500
const PROGRESS_EVERY = 20

/** A long time with random faults. */
export const soakCampaign: Campaign = {
  name: 'soak',
  summary: 'minutes or hours of random faults in one process; memory, handles and timers stay flat, nothing is lost',
  pipelines: MEMORY_PIPELINES,
  faults: 'faults at least',
  sabotages: ['leak'],
  full: { faults: 60, records: 10_000, minutes: 3 },
  quick: { faults: 15, records: 2_000, minutes: 1 },
  problems: ({ minutes = 0 }: Size) => (minutes < 1 ? ['--minutes must be at least 1'] : []),
  async run(context) {
    const startedAt = performance.now()
    const soak = new SoakRun(context)
    await soak.carryOut()
    return soak.report((performance.now() - startedAt) / 1000)
  },
}

class SoakRun {
  readonly #context: RunContext
  readonly #books: Books = emptyBooks()
  readonly #fired = new Map<Fault, number>()
  #missed = 0
  #figures: Figures | undefined
  #firstWriteAtNs: bigint | undefined
  #growth: Growth | undefined

  constructor(context: RunContext) {
    this.#context = context
  }

  /** Never rejects. */
  async carryOut(): Promise<void> {
    await runOverMemory(this.#context, this.#books, async (pipeline) => {
      await this.#soak(pipeline)
      this.#growth = growth(vitalsIn(this.#vitalsPath))
    })
  }

  report(seconds: number): CampaignReport {
    const fired = [...this.#fired.values()].reduce((sum, count) => sum + count, 0)
    const lives = [{ firstWriteAtNs: this.#firstWriteAtNs, coverage: undefined }]
    const report = bookReport(this.#context, {
      campaign: 'soak',
      books: this.#books,
      outcomes: outcomesOf([this.#figures]),
      // Attempts end, and splits go: what was in hand is given up or back, and read again.
      planned: ['returned', 'abandoned'],
      faultsPlanned: this.#context.size.faults,
      faultsFired: fired,
      requestsRepeated: attributeRepeats(this.#books.arrivals, lives, this.#books.produced).requests,
      broken: this.#growth === undefined ? [] : brokenSoakRules(this.#growth),
      seconds,
    })
    return Object.assign(report, {
      fired: Object.fromEntries(this.#fired),
      missedFaults: this.#missed,
      attempts: this.#figures?.attempt ?? 0,
      growth: this.#growth ?? null,
    })
  }

  get #vitalsPath(): string {
    return join(this.#context.folder, 'vitals.ndjson')
  }

  async #soak(pipeline: MemoryPipelineUnderTest): Promise<void> {
    const { seed, size, folder, sabotage, signal } = this.#context
    const endsAt = performance.now() + (size.minutes ?? 1) * 60_000
    const generator = new Generator(seed, Date.now() - TIME_BEFORE_START_MS)
    await using producer = new Producer(generator, (records) => pipeline.produce(records))
    this.#books.produced = producer.produced
    pipeline.gate.begin()
    pipeline.acknowledgements?.gate.begin()
    await using subject = await SubjectProcess.start(pipeline, {
      folder,
      number: 1,
      sabotage,
      killAt: undefined,
      settings: { restartDelayMs: RESTART_DELAY_MS },
      env: { [VITALS_VARIABLE]: this.#vitalsPath },
      execArgv: ['--expose-gc'],
    })
    producer.start()
    // All the time at full pace.
    producer.allow(Number.MAX_SAFE_INTEGER / 2)
    await this.#breakUntil(endsAt, pipeline, subject)
    await producer[Symbol.asyncDispose]()
    this.#firstWriteAtNs = pipeline.gate.firstWriteAtNs
    // Messages of answers that were cut wait for their visibility timeout: it is over.
    pipeline.service.queue.expire()
    if (producer.produced.length < size.records)
      this.#books.failures.push(`only ${producer.produced.length} records were produced, of ${size.records} at least`)
    if (!(await settled(pipeline, subject, producer.produced, signal)))
      this.#books.failures.push('the process did not store everything in time')
    const { code, signal: endedBy } = await subject.stop(DRAIN_DEADLINE_MS)
    this.#figures = subject.figures()
    if (code !== 0) this.#books.failures.push(`the process ended with ${endedBy ?? `code ${code}`}, not with 0`)
  }

  async #breakUntil(endsAt: number, pipeline: MemoryPipelineUnderTest, subject: SubjectProcess): Promise<void> {
    const { seed, signal, pipeline: definition } = this.#context
    const random = seededRandom(seed)
    const faults = FAULTS.filter((fault) => fault !== 'rebalance' || definition.name === 'memory-external')
    for (let count = 1; performance.now() < endsAt; count++) {
      signal.throwIfAborted()
      subject.assertNotCrashed()
      const fault = faults[Math.trunc(random() * faults.length)] ?? 'hold'
      if (await breakOnce(fault, pipeline, random, signal)) this.#fired.set(fault, (this.#fired.get(fault) ?? 0) + 1)
      else this.#missed++
      await sleep(random() * MAX_CALM_MS, undefined, { signal })
      if (count % PROGRESS_EVERY === 0) this.#tell(count, endsAt, subject)
    }
  }

  #tell(count: number, endsAt: number, subject: SubjectProcess): void {
    const last = vitalsIn(this.#vitalsPath).at(-1)
    const heap = last === undefined ? 'unknown' : `${(last.heapBytes / 1024 / 1024).toFixed(1)} MiB`
    const leftS = Math.max(0, Math.round((endsAt - performance.now()) / 1000))
    this.#context.print(
      `${count} faults, attempt ${subject.figures()?.attempt ?? 1}, heap ${heap}, ${last?.resources ?? 0} handles; ${leftS} s left`,
    )
  }
}

function vitalsIn(path: string): readonly Vitals[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line): Vitals => JSON.parse(line))
}
