import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '@sluice/core/testing'
import { waitFor } from '@sluice/testkit'
import type { Campaign, CampaignReport, Coverage, PipelineUnderTest, RunContext } from '../campaign.ts'
import { Generator } from '../ledger/generator.ts'
import { Producer } from '../ledger/producer.ts'
import { confirmedArrivals } from '../ledger/confirmed.ts'
import { coveredButMissing, storedUncovered } from '../ledger/repeats.ts'
import { settled } from '../ledger/settled.ts'
import { kinesisTimestream } from '../pipelines/kinesis-timestream-servers.ts'
import { MEMORY_PIPELINES } from '../pipelines/memory-servers.ts'
import { type KillPlan, killPlan, sizeProblems } from './plan.ts'
import { describeKill, type KillRecord, landed } from './record.ts'
import { killReport, type RunFacts } from './report.ts'
import { strike } from './strike.ts'
import { SubjectProcess } from './subject-process.ts'
import { type Evidence, FAILPOINTS, windowOf, windowsOf } from './windows.ts'

/** Further tries of kills that did not land in their window. */
const MAX_EXTRA_KILLS = 6
/** The records end this long before the start of the run: retention and the store's clock must not matter. */
const TIME_BEFORE_START_MS = 600_000
const DRAIN_DEADLINE_MS = 10_000
/** From the signal to drain, writes are held so long: a drain that does not wait for them loses them. */
const DRAIN_HOLD_MS = 500

/** kill -9 of a pipeline, again and again, at every moment that matters. */
export const killCampaign: Campaign = {
  name: 'kill',
  summary: 'kill -9 in every window; nothing is lost, and no more is repeated than since the last checkpoint',
  pipelines: [kinesisTimestream, ...MEMORY_PIPELINES],
  sabotages: ['ack-early', 'skip-flush'],
  faults: 'kills',
  full: { faults: 40, records: 4_000 },
  quick: { faults: 16, records: 700 },
  problems: (size, { positionAuthority }) => sizeProblems(size, windowsOf(positionAuthority)),
  run: (context) => runKills('kill', context),
}

/** @param name - of the campaign, for its report. */
export async function runKills(name: string, context: RunContext): Promise<CampaignReport> {
  const startedAt = performance.now()
  const facts: RunFacts = {
    kills: [],
    completed: false,
    produced: [],
    arrivals: [],
    acknowledgements: [],
    last: undefined,
    failures: [],
  }
  try {
    await new KillRun(context, facts).carryOut()
    facts.completed = true
  } catch (error) {
    const reason: unknown = context.signal.aborted ? context.signal.reason : error
    facts.failures.push(reason instanceof Error ? reason.message : String(reason))
  }
  return killReport(name, context, facts, (performance.now() - startedAt) / 1000)
}

class KillRun {
  readonly #context: RunContext
  readonly #facts: RunFacts
  #processes = 0

  constructor(context: RunContext, facts: RunFacts) {
    this.#context = context
    this.#facts = facts
  }

  async carryOut(): Promise<void> {
    const { pipeline: definition, folder } = this.#context
    await using pipeline = await definition.open(folder)
    try {
      await this.#killAll(pipeline)
    } finally {
      this.#facts.arrivals = await confirmedArrivals(pipeline)
      this.#facts.acknowledgements = pipeline.acknowledgements?.journal() ?? []
    }
  }

  async #killAll(pipeline: PipelineUnderTest): Promise<void> {
    const { seed, size, signal } = this.#context
    signal.throwIfAborted()
    const generator = new Generator(seed, Date.now() - TIME_BEFORE_START_MS)
    await using producer = new Producer(generator, (records) => pipeline.produce(records))
    this.#facts.produced = producer.produced
    producer.start()
    const queue = [...killPlan(size.faults, seededRandom(seed), windowsOf(this.#context.pipeline.positionAuthority))]
    const share = Math.ceil(size.records / queue.length)
    let extra = MAX_EXTRA_KILLS
    let before: Coverage = { checkpointId: 0, covers: () => false }
    for (let plan = queue.shift(); plan !== undefined; plan = queue.shift()) {
      producer.allow(share)
      const kill = await this.#kill(plan, pipeline, before.checkpointId)
      before = kill.coverage
      this.#facts.kills.push(kill)
      this.#context.print(describeKill(kill, size.faults))
      if (!landed(kill) && extra-- > 0) queue.push(plan)
    }
    await producer.finish()
    await this.#finish(pipeline, producer)
  }

  async #kill(plan: KillPlan, pipeline: PipelineUnderTest, checkpointBefore: number): Promise<KillRecord> {
    const { aim, nth } = plan
    const failpoint = aim === 'random' ? undefined : FAILPOINTS[aim]
    const acknowledgedBefore = pipeline.acknowledgements?.journal().length ?? 0
    await using subject = await this.#start(pipeline, failpoint === undefined ? undefined : `${failpoint}@${nth}`)
    const { held, unanswered, acknowledgementsUnanswered } = await strike(plan, subject, pipeline, this.#context.signal)
    const lifeMs = performance.now() - subject.startedAt
    const { firstWriteAtNs } = pipeline.gate
    const figures = subject.figures()
    if (figures === undefined) throw new Error('the subject died before it had written its figures')
    const coverage = await pipeline.coverage()
    const arrivals = await pipeline.arrivals()
    const acknowledged = pipeline.acknowledgements?.journal()
    const evidence: Evidence = {
      figures,
      held,
      unanswered,
      checkpointBefore,
      checkpointAfter: coverage.checkpointId,
      ...(acknowledged === undefined
        ? {}
        : {
            external: {
              storedUnacknowledged: storedUncovered(coverage, this.#facts.produced, arrivals),
              unanswered: acknowledgementsUnanswered,
            },
          }),
    }
    return {
      number: this.#facts.kills.length + 1,
      aim,
      window: windowOf(evidence, aim),
      figures,
      coverage,
      repeatable:
        acknowledged === undefined ? figures.repeatable : figures.emitted - (acknowledged.length - acknowledgedBefore),
      coveredButMissing: coveredButMissing(coverage, this.#facts.produced, arrivals),
      firstWriteAtNs,
      lifeMs,
    }
  }

  /** Lets the last process store everything, and drains it when it has a few more in hand. */
  async #finish(pipeline: PipelineUnderTest, producer: Producer): Promise<void> {
    await using subject = await this.#start(pipeline, undefined)
    this.#context.print(
      `all kills done, ${this.#facts.produced.length} records produced; the last process stores the rest`,
    )
    if (!(await settled(pipeline, subject, this.#facts.produced, this.#context.signal)))
      this.#facts.failures.push('the last process did not come to an end in time')
    const [emitted, before] = [subject.figures()?.emitted ?? 0, producer.produced.length]
    const resume = pipeline.gate.pause()
    await producer.batch()
    await waitFor(() => (subject.figures()?.emitted ?? 0) - emitted >= producer.produced.length - before, {
      what: 'the last records to be emitted',
    })
    const ended = subject.stop(DRAIN_DEADLINE_MS)
    await sleep(DRAIN_HOLD_MS, undefined, { signal: this.#context.signal })
    resume()
    const { code, signal } = await ended
    this.#facts.last = { figures: subject.figures(), firstWriteAtNs: pipeline.gate.firstWriteAtNs }
    const unacknowledged = pipeline.acknowledgements === undefined ? 0 : this.#unacknowledged(await pipeline.coverage())
    if (code === 0 && unacknowledged > 0)
      this.#facts.failures.push(`the last process ended with 0 and had ${unacknowledged} records not acknowledged`)
    for (const problem of pipeline.acknowledgements?.problems ?? []) this.#facts.failures.push(problem)
    if (code !== 0) this.#facts.failures.push(`the last process ended with ${signal ?? `code ${code}`}, not with 0`)
  }

  #unacknowledged(coverage: Coverage): number {
    return this.#facts.produced.filter(({ position }) => !coverage.covers(position)).length
  }

  #start(pipeline: PipelineUnderTest, killAt: string | undefined): Promise<SubjectProcess> {
    const { folder, sabotage } = this.#context
    pipeline.gate.begin()
    pipeline.acknowledgements?.gate.begin()
    pipeline.acknowledgements?.subjectEnded()
    return SubjectProcess.start(pipeline, { folder, number: ++this.#processes, sabotage, killAt })
  }
}
