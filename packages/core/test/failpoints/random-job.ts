import { inspect } from 'node:util'
import * as fc from 'fast-check'
import {
  ALL_WRITTEN,
  fixedDelayRestart,
  type Job,
  type JobEnd,
  SluiceError,
  stream,
  type SubmitOutcome,
} from '../../src/index.ts'
import { delay } from '../../src/runtime/clock.ts'
import { setFailpoint } from '../../src/runtime/failpoints.ts'
import { InMemorySink, seededRandom, VirtualClock } from '../../src/testing.ts'
import { groupSource, prefixSource, queueSource } from './shapes.ts'
import { Life, World } from './world.ts'

const SHAPES = { prefix: prefixSource, group: groupSource, queue: queueSource } as const
const POINTS = [
  'source:fetched',
  'job:emitted',
  'job:offered',
  'sink:submitting',
  'sink:answered',
  'checkpoint:snapshot',
  'checkpoint:settled',
  'checkpoint:stored',
  'checkpoint:acknowledged',
  'release:returned',
  'release:ended',
] as const
/** What a run may have in it; each pair has to meet in some run. */
export const EVENTS = [
  'death',
  'restart',
  'drain',
  'close',
  'retry',
  'unknown',
  'partial',
  'letter',
  'release',
  'storeFailed',
] as const
type Event = (typeof EVENTS)[number]

export interface Plan {
  readonly shape: keyof typeof SHAPES
  readonly splits: number
  readonly recordsEach: number
  readonly sinks: number
  readonly steps: 'none' | 'flatMap' | 'filter' | 'mapAsync' | 'keyBy'
  readonly faultRate: number
  readonly poisonEvery: number
  readonly intervalMs: number
  readonly lives: readonly {
    readonly parallelism: number
    readonly ending: 'drain' | 'close' | (typeof POINTS)[number]
    readonly afterMs: number
    readonly nth: number
  }[]
  readonly seed: number
}

export const PLAN: fc.Arbitrary<Plan> = fc.record({
  shape: fc.constantFrom('prefix', 'group', 'queue'),
  splits: fc.integer({ min: 1, max: 4 }),
  recordsEach: fc.integer({ min: 0, max: 90 }),
  sinks: fc.integer({ min: 1, max: 2 }),
  steps: fc.constantFrom('none', 'flatMap', 'filter', 'mapAsync', 'keyBy'),
  faultRate: fc.constantFrom(0, 0.1, 0.4),
  poisonEvery: fc.constantFrom(0, 5, 13),
  intervalMs: fc.integer({ min: 5, max: 60 }),
  lives: fc.array(
    fc.record({
      parallelism: fc.integer({ min: 1, max: 4 }),
      ending: fc.constantFrom('drain', 'close', ...POINTS),
      afterMs: fc.integer({ min: 0, max: 200 }),
      nth: fc.integer({ min: 1, max: 6 }),
    }),
    { maxLength: 4 },
  ),
  seed: fc.integer(),
})

const STEP_MS = 5
const MAX_STEPS = 1000

/** One random job over as many processes as its plan says. */
export class RandomJob {
  readonly problems: string[] = []
  readonly events = new Set<Event>()
  readonly #plan: Plan
  readonly #random: () => number
  readonly #world: World
  /** Entries by sink. */
  readonly #stored: readonly Set<number>[]

  constructor(plan: Plan) {
    this.#plan = plan
    this.#random = seededRandom(plan.seed)
    this.#stored = Array.from({ length: plan.sinks }, () => new Set<number>())
    const splits = Array.from({ length: plan.splits }, (_, index) => String(index))
    this.#world = new World(splits, plan.recordsEach)
    this.#world.isSettled = (value) => this.#isSettled(value)
  }

  async run(): Promise<void> {
    const { lives } = this.#plan
    for (const { parallelism, ending, afterMs, nth } of lives) {
      const life = new Life()
      const clock = new VirtualClock()
      const asked = ending === 'drain' || ending === 'close'
      let count = 0
      const disarm = asked ? () => {} : setFailpoint(ending, () => void (++count >= nth && this.#die(life)))
      const job = this.#start(life, clock, parallelism)
      for (let at = 0; at < afterMs && life.alive; at += STEP_MS) await clock.advance(STEP_MS)
      if (asked) await this.#end(job, clock, ending)
      disarm()
      life.alive = false
    }
    const life = new Life()
    const clock = new VirtualClock()
    const job = this.#start(life, clock, 2)
    for (let step = 0; step < MAX_STEPS && !this.#isDone(); step++) {
      // Who fails more often than a checkpoint takes never comes to an end.
      if (step > 100) this.#healed = true
      await clock.advance(STEP_MS)
    }
    if (this.#world.releases > 0) this.events.add('release')
    this.problems.push(...this.#world.violations)
    for (const missing of this.#world.missing) this.problems.push(`missing: ${missing}`)
    if (!this.#isDone()) this.problems.push('not everything is acknowledged')
    this.#healed = true
    const end = await this.#end(job, clock, 'drain')
    if (SluiceError.isInstance(end) || end.unsettled > 0) this.problems.push(`the last drain: ${inspect(end)}`)
  }

  #die(life: Life): void {
    life.alive = false
    this.events.add('death')
  }

  async #end(job: Job, clock: VirtualClock, how: 'drain' | 'close'): Promise<JobEnd | SluiceError> {
    this.events.add(how)
    const over = how === 'drain' ? job.drain(2000) : job.close()
    over.catch(() => undefined)
    const isOver = (): boolean => ['ended', 'failed'].includes(job.status().state)
    for (let step = 0; step < MAX_STEPS && !isOver(); step++) await clock.advance(STEP_MS)
    const end = await over.catch((error: unknown) => SluiceError.from(error, 'SLUICE_INTERNAL', 'the end'))
    if (clock.pendingTimers > this.#late) this.problems.push(`timers left: ${clock.pendingTimers - this.#late}`)
    return end
  }

  #healed = false
  /** Timers of services, which go on after a process. */
  #late = 0

  #isSettled(value: number): boolean {
    const { letters } = this.#world
    return letters.has(value) || this.#stored.every((stored) => this.#expand(value).every((entry) => stored.has(entry)))
  }

  #expand(value: number): readonly number[] {
    if (this.#plan.steps === 'filter') return value % 3 === 0 ? [] : [value]
    if (this.#plan.steps === 'flatMap') return Array.from({ length: value % 4 }, (_, index) => value * 10 + index)
    return [value]
  }

  #isDone(): boolean {
    const world = this.#world
    if (world.missing.length > 0) return false
    if (this.#plan.shape === 'queue') return world.deleted.size === world.records.length
    const positions = new Map<string, number>(world.committed)
    for (const split of world.checkpoint?.sources['log']?.splits ?? []) {
      const { splitId, next } = split as { splitId: string; next: number }
      positions.set(splitId, next)
    }
    return [...world.splits].every(([splitId, records]) => (positions.get(splitId) ?? 0) === records.length)
  }

  #start(life: Life, clock: VirtualClock, parallelism: number): Job {
    const { shape, steps, sinks, intervalMs } = this.#plan
    const world = this.#world
    const source = stream(SHAPES[shape](world, life))
    const piped = {
      none: () => source,
      filter: () => source.filter((value) => this.#expand(value).length > 0),
      flatMap: () => source.flatMap((value) => this.#expand(value)),
      keyBy: () => source.keyBy((value) => value % 5),
      mapAsync: () =>
        source.mapAsync(
          async (value) => {
            this.#late++
            await delay(clock, this.#random() * 10)
            this.#late--
            return value
          },
          { concurrency: 3, ordered: this.#random() < 0.5 },
        ),
    }[steps]()
    const [first, ...others] = Array.from({ length: sinks }, (_, index) => this.#sink(index, life, clock))
    let pipeline = piped.sinkTo(first as InMemorySink<number>)
    for (const sink of others) pipeline = pipeline.sinkTo(sink)
    return pipeline.start({
      name: 'model',
      clock,
      random: this.#random,
      parallelism,
      restart: fixedDelayRestart({ attempts: 10_000, delayMs: 3 }),
      restartGraceMs: 50,
      deadLetters: world.deadLetters(life),
      maxDeadLetterRatio: 1,
      checkpoints: { intervalMs, storage: this.#storage(life) },
    })
  }

  #storage(life: Life): ReturnType<World['storage']> {
    const inner = this.#world.storage(life)
    return {
      open: async (job, logger) => {
        const store = await inner.open(job, logger)
        return {
          ...store,
          store: (checkpoint) => {
            if (!this.#isFault() || checkpoint.id < 2) return store.store(checkpoint)
            this.events.add('storeFailed')
            this.events.add('restart')
            return Promise.reject(new SluiceError('SLUICE_STATE_STORAGE', 'the disk is full', { restartable: true }))
          },
        }
      },
    }
  }

  #isFault(): boolean {
    return !this.#healed && this.#random() < this.#plan.faultRate / 4
  }

  #sink(index: number, life: Life, clock: VirtualClock): InMemorySink<number> {
    return new InMemorySink<number>({
      uid: `s${index}`,
      maxBatchSize: 5,
      maxInFlightRequests: 4,
      maxBufferedRequests: 40,
      orderedLanes: 2,
      maxTimeInBufferMS: 10,
      onSubmit: ({ entries }) =>
        life.call(async () => {
          this.#late++
          await delay(clock, this.#random() * 8)
          this.#late--
          return life.call(() => this.#answer(index, entries))
        }),
    })
  }

  #answer(sink: number, entries: readonly number[]): SubmitOutcome {
    const { poisonEvery, faultRate, steps } = this.#plan
    const reason = { code: 'busy', message: 'later' }
    const stored = this.#stored[sink] as Set<number>
    const isPoison = (entry: number): boolean =>
      poisonEvery > 0 && (steps === 'flatMap' ? Math.floor(entry / 10) : entry) % poisonEvery === 1
    const fault = !this.#healed && this.#random() < faultRate
    const kind = Math.floor(this.#random() * 4)
    if (fault && kind === 0) {
      this.events.add('retry')
      return { retryAll: reason, afterMs: 5 }
    }
    if (fault && kind === 1) {
      this.events.add('restart')
      return { fail: new SluiceError('SLUICE_SINK_FAILED', 'down', { restartable: true }) }
    }
    const refused = entries.some(isPoison)
    if (refused) this.events.add('letter')
    if (fault && kind === 2) this.events.add('unknown')
    if (fault && kind === 3) this.events.add('partial')
    const outcomes = entries.map((entry) => {
      if (isPoison(entry)) return { kind: 'refuse' as const, reason }
      if (fault && kind === 3 && this.#random() < 0.5) return { kind: 'retry' as const, reason }
      stored.add(entry)
      return { kind: 'written' as const }
    })
    if (fault && kind === 2) return { retryAll: reason, unknown: true }
    return refused || fault ? { entries: outcomes } : ALL_WRITTEN
  }
}
