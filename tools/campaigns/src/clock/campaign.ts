import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '@sluice/core/testing'
import type { Campaign, CampaignReport, RunContext } from '../campaign.ts'
import type { Figures } from '../figures.ts'
import { SubjectProcess } from '../kill/subject-process.ts'
import { type Books, bookReport, emptyBooks, outcomesOf } from '../ledger/books.ts'
import { Generator } from '../ledger/generator.ts'
import { Producer } from '../ledger/producer.ts'
import { attributeRepeats, identityOf, storedIdentities } from '../ledger/repeats.ts'
import { settled } from '../ledger/settled.ts'
import { runOverMemory } from '../pipelines/memory-run.ts'
import { MEMORY_PIPELINES, type MemoryPipelineUnderTest } from '../pipelines/memory-servers.ts'
import { FakeTime } from './fake-time.ts'
import { jumpPlan, jumpProblems } from './plan.ts'
import { brokenJumpRules, type JumpRecord, MAX_STALL_MS, stalled } from './rules.ts'

const TIME_BEFORE_START_MS = 600_000
const DRAIN_DEADLINE_MS = 10_000
const START_DEADLINE_MS = 15_000
const LOOK_MS = 20
/** Two intervals of checkpoints. */
const HELD_MS = 250
/** The clock of the process against ours, which it does not share. */
const TOLERANCE_MS = 60_000

/** Jumps of the wall clock under a running job. */
export const clockCampaign: Campaign = {
  name: 'clock',
  summary: 'the wall clock jumps by an hour and by a day, both ways; nothing stalls, and nothing is lost',
  pipelines: MEMORY_PIPELINES,
  faults: 'jumps',
  sabotages: ['wall-clock'],
  full: { faults: 40, records: 4_000 },
  quick: { faults: 8, records: 600 },
  problems: jumpProblems,
  async run(context) {
    const startedAt = performance.now()
    const jumps = new ClockRun(context)
    await jumps.carryOut()
    return jumps.report((performance.now() - startedAt) / 1000)
  },
}

class ClockRun {
  readonly #context: RunContext
  readonly #books: Books = emptyBooks()
  readonly #jumps: JumpRecord[] = []
  #figures: Figures | undefined
  #firstWriteAtNs: bigint | undefined
  #skipped: string | undefined

  constructor(context: RunContext) {
    this.#context = context
  }

  /** Never rejects. */
  async carryOut(): Promise<void> {
    await runOverMemory(this.#context, this.#books, async (pipeline) => {
      const time = await FakeTime.find(this.#context.folder)
      if (typeof time === 'string') {
        this.#skipped = time
        throw new Error(`the wall clock cannot be made to jump: ${time}`)
      }
      await this.#jumpAll(pipeline, time)
    })
  }

  report(seconds: number): CampaignReport {
    const lives = [{ firstWriteAtNs: this.#firstWriteAtNs, coverage: undefined }]
    const repeats = attributeRepeats(this.#books.arrivals, lives, this.#books.produced)
    const report = bookReport(this.#context, {
      campaign: 'clock',
      books: this.#books,
      outcomes: outcomesOf([this.#figures]),
      planned: [],
      faultsPlanned: this.#context.size.faults,
      faultsFired: this.#jumps.filter(({ landed }) => landed).length,
      requestsRepeated: repeats.requests,
      broken: brokenJumpRules(this.#jumps),
      seconds,
    })
    const slowest = (of: (jump: JumpRecord) => number | undefined): number =>
      Math.round(Math.max(0, ...this.#jumps.map((jump) => of(jump) ?? MAX_STALL_MS)))
    return Object.assign(report, {
      stalled: stalled(this.#jumps),
      slowestCheckpointsMs: slowest(({ checkpointsAfterMs }) => checkpointsAfterMs),
      slowestStoreMs: slowest(({ storedAfterMs }) => storedAfterMs),
      skipped: this.#skipped ?? null,
    })
  }

  async #jumpAll(pipeline: MemoryPipelineUnderTest, time: FakeTime): Promise<void> {
    const { seed, size, folder, sabotage, signal } = this.#context
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
      env: time.env,
    })
    producer.start()
    const completed = (): number => subject.figures()?.completed ?? 0
    if ((await this.#until(subject, START_DEADLINE_MS, () => completed() > 0)) === undefined)
      throw new Error('the subject completed no checkpoint')
    for (const bySeconds of jumpPlan(size.faults, seededRandom(seed))) {
      signal.throwIfAborted()
      producer.allow(Math.ceil(size.records / size.faults))
      await this.#jump(bySeconds, time, subject, pipeline, producer)
      // What stands still now does so for an hour, or for ever.
      if (stalled(this.#jumps) > 0) break
    }
    await producer.finish()
    this.#firstWriteAtNs = pipeline.gate.firstWriteAtNs
    if (!(await settled(pipeline, subject, producer.produced, signal)))
      this.#books.failures.push('the process did not store everything in time')
    const exit = await subject.stop(DRAIN_DEADLINE_MS)
    this.#figures = subject.figures()
    if (exit.code !== 0)
      this.#books.failures.push(`the process ended with ${exit.signal ?? `code ${exit.code}`}, not with 0`)
  }

  async #jump(
    bySeconds: number,
    time: FakeTime,
    subject: SubjectProcess,
    pipeline: MemoryPipelineUnderTest,
    producer: Producer,
  ): Promise<void> {
    const completed = (): number => subject.figures()?.completed ?? 0
    // Requests are under way and a checkpoint is open when the clock jumps: their times lie before it.
    const resume = pipeline.gate.pause()
    const isHeld = (): boolean => pipeline.gate.held > 0 && (subject.figures()?.unsettled ?? 0) > 0
    await this.#until(subject, MAX_STALL_MS, isHeld)
    await sleep(HELD_MS, undefined, { signal: this.#context.signal })
    const before = completed()
    time.jump(bySeconds)
    const isThere = (): boolean => Math.abs((subject.figures()?.wallMs ?? 0) - time.wallMs) < TOLERANCE_MS
    const landed = (await this.#until(subject, MAX_STALL_MS, isThere)) !== undefined
    resume()
    const from = producer.produced.length
    await producer.batch()
    const made = producer.produced.slice(from).map(identityOf)
    const [checkpointsAfterMs, storedAfterMs] = await Promise.all([
      this.#until(subject, MAX_STALL_MS, () => completed() >= before + 2),
      this.#until(subject, MAX_STALL_MS, async () => {
        const stored = storedIdentities(await pipeline.arrivals())
        return made.every((id) => stored.has(id))
      }),
    ])
    const record = { number: this.#jumps.length + 1, bySeconds, landed, checkpointsAfterMs, storedAfterMs }
    this.#jumps.push(record)
    this.#context.print(
      `jump ${record.number}/${this.#context.size.faults} by ${bySeconds / 3600} h: ` +
        `two checkpoints after ${told(checkpointsAfterMs)}, records stored after ${told(storedAfterMs)}`,
    )
  }

  /** Milliseconds until the condition held; undefined when it did not in time. */
  async #until(
    subject: SubjectProcess,
    deadlineMs: number,
    condition: () => boolean | Promise<boolean>,
  ): Promise<number | undefined> {
    const startedAt = performance.now()
    while (performance.now() - startedAt < deadlineMs) {
      subject.assertNotCrashed()
      if (await condition()) return performance.now() - startedAt
      await sleep(LOOK_MS, undefined, { signal: this.#context.signal })
    }
    return undefined
  }
}

function told(ms: number | undefined): string {
  return ms === undefined ? 'never' : `${Math.round(ms)} ms`
}
