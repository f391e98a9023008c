import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import {
  fixedDelayRestart,
  memoryCheckpoints,
  silentLogger,
  SluiceError,
  stream,
  type SubmitOutcome,
} from '../../src/index.ts'
import { setFailpoint } from '../../src/runtime/failpoints.ts'
import { seededRandom } from '../../src/testing.ts'
import {
  ALL_WRITTEN,
  InMemorySink,
  InMemorySource,
  never,
  range,
  settled,
  sorted,
  until,
  VirtualClock,
} from './harness.ts'

const PLACES = ['checkpoint:settled', 'checkpoint:stored', 'source:fetched', 'sink:fail', 'kill'] as const
type Place = (typeof PLACES)[number]

interface Plan {
  readonly splits: number
  readonly recordsPerSplit: number
  readonly batch: number
  readonly parallelism: number
  readonly intervalMs: number
  readonly sinks: number
  readonly flat: number
  readonly room: number
  readonly fault: 'none' | 'retry' | 'partial' | 'unknown' | 'slow'
  readonly faultRate: number
  /** Deaths, each a little while after the one before; the process keeps only its storage. */
  readonly deaths: readonly { readonly afterMs: number; readonly place: Place; readonly inProcess: boolean }[]
  readonly seed: number
}

const PLAN: fc.Arbitrary<Plan> = fc.record({
  splits: fc.integer({ min: 1, max: 5 }),
  recordsPerSplit: fc.integer({ min: 0, max: 120 }),
  batch: fc.integer({ min: 1, max: 60 }),
  parallelism: fc.integer({ min: 1, max: 4 }),
  intervalMs: fc.integer({ min: 5, max: 200 }),
  sinks: fc.integer({ min: 1, max: 2 }),
  flat: fc.integer({ min: 0, max: 3 }),
  room: fc.integer({ min: 11, max: 40 }),
  fault: fc.constantFrom('none', 'retry', 'partial', 'unknown', 'slow'),
  faultRate: fc.double({ min: 0, max: 0.5, noNaN: true }),
  deaths: fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 300 }),
      place: fc.constantFrom(...PLACES),
      inProcess: fc.boolean(),
    }),
    { maxLength: 5 },
  ),
  seed: fc.integer(),
})

const removals: (() => void)[] = []
afterEach(() => {
  for (const remove of removals.splice(0)) remove()
})

const fired: Record<Place, number> = {
  'checkpoint:settled': 0,
  'checkpoint:stored': 0,
  'source:fetched': 0,
  'sink:fail': 0,
  kill: 0,
}
let repeats = 0
let repeatsAllowed = 0

/** Runs a plan to its end and checks, at every death, what the next run repeats. */
async function run(plan: Plan): Promise<void> {
  const clock = new VirtualClock()
  const random = seededRandom(plan.seed)
  const storage = memoryCheckpoints()
  const splits = range(plan.splits).map(String)
  const source = new InMemorySource<number>({ splits, maxBatchSize: plan.batch })
  let produced = 0
  const produce = (splitId: string, count: number): void => {
    for (let index = 0; index < count; index++) source.push(splitId, produced++)
  }
  let toDie: Place | undefined
  const die = (place: Place): boolean => {
    if (toDie !== place) return false
    toDie = undefined
    fired[place]++
    return true
  }
  for (const place of ['checkpoint:settled', 'checkpoint:stored', 'source:fetched'] as const) {
    removals.push(
      setFailpoint(place, () => {
        if (die(place)) throw new Error(`died at ${place}`)
      }),
    )
  }
  // Timers of the store, not of the job: an answer to a process that is gone may still be on its way.
  let slowAnswers = 0
  const misbehave = async (sink: InMemorySink<number>, entries: readonly number[]): Promise<SubmitOutcome> => {
    if (die('sink:fail')) return { fail: new SluiceError('SLUICE_SINK_FAILED', 'died', { restartable: true }) }
    if (plan.fault === 'none' || random() >= plan.faultRate) return ALL_WRITTEN
    const reason = { code: 'busy', message: 'later' }
    if (plan.fault === 'retry') return { retryAll: reason }
    if (plan.fault === 'unknown') {
      // Applied, and the answer lost.
      sink.stored.push(...entries)
      return { retryAll: reason, unknown: true }
    }
    if (plan.fault === 'slow') {
      slowAnswers++
      await new Promise<void>((resolve) => void clock.after(random() * 100, resolve))
      slowAnswers--
      return ALL_WRITTEN
    }
    return { entries: entries.map(() => (random() < 0.5 ? { kind: 'written' } : { kind: 'retry', reason })) }
  }
  const sinks = range(plan.sinks).map((index) => {
    const sink: InMemorySink<number> = new InMemorySink<number>({
      uid: `s${index}`,
      maxTimeInBufferMS: 20,
      maxBufferedRequests: plan.room,
      onSubmit: ({ entries }) => misbehave(sink, entries),
    })
    return sink
  })
  // Every input becomes `flat` values; with 0, odd inputs are filtered out.
  const expand = (n: number): number[] => (plan.flat === 0 ? (n % 2 === 0 ? [n] : []) : range(plan.flat, n * plan.flat))
  let emissions = 0
  const operator = (n: number): number[] => {
    emissions++
    return expand(n)
  }
  const [first, ...others] = sinks
  if (first === undefined) throw new Error('no sink')
  let pipeline = stream(source).flatMap(operator).sinkTo(first)
  for (const sink of others) pipeline = pipeline.sinkTo(sink)
  const begin = (parallelism: number) =>
    pipeline.start({
      name: 'crash',
      clock,
      random,
      parallelism,
      logger: { ...silentLogger, warn: (_fields, message) => void (message === 'The job restarts' && noteDeath()) },
      restartGraceMs: 0,
      restart: fixedDelayRestart({ attempts: 1000, delayMs: 1 }),
      checkpoints: { storage, intervalMs: plan.intervalMs },
    })

  // Each death may repeat what it left uncovered, and no more.
  let bound = 0
  const noteDeath = (): void => {
    bound += job.status().repeatIfKilledNow
  }
  let job = begin(plan.parallelism)
  for (const splitId of splits) produce(splitId, plan.recordsPerSplit)
  for (const death of plan.deaths) {
    await clock.advance(death.afterMs)
    const { attempt } = job.status()
    if (death.place === 'kill' || !death.inProcess) {
      // The process is gone: nothing of it acts any more. Its successor has the storage alone, under another parallelism.
      fired.kill++
      noteDeath()
      await settled(clock, job.close(), 1)
      job = begin(1 + Math.floor(random() * 4))
    } else {
      toDie = death.place
      produce(splits[0] as string, 1)
      for (let waited = 0; waited < 500 && job.status().attempt === attempt; waited += 10) await clock.advance(10)
      toDie = undefined
    }
    produce(splits[Math.floor(random() * plan.splits)] as string, 3)
  }
  source.end()
  expect(await settled(clock, job.done, 20)).toMatchObject({ how: 'finished', unsettled: 0 })
  const wanted = sorted(range(produced).flatMap(expand))
  for (const sink of sinks) expect(sorted(new Set(sink.stored))).toEqual(wanted)
  expect(emissions - produced, 'repeats').toBeLessThanOrEqual(bound)
  repeats += emissions - produced
  repeatsAllowed += bound
  expect(source.acknowledged).toEqual(sorted(source.acknowledged))
  await clock.flush()
  expect(clock.pendingTimers, 'timers left').toBe(slowAnswers)
}

describe('whatever fails and whenever, nothing is lost', () => {
  test('random jobs, faults and deaths: what is stored in the end is what was produced, as sets', async () => {
    const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 1_000_000)
    const runs = Number(process.env['SLUICE_RUNS'] ?? 80)
    await fc.assert(fc.asyncProperty(PLAN, run), { seed, numRuns: runs, endOnFailure: false })
    console.log(JSON.stringify({ test: 'core crash-restart', seed, runs, fired, repeats, repeatsAllowed }))
    // Vacuous without deaths that landed.
    expect(Object.values(fired).every((count) => count > 0)).toBe(true)
    expect(repeats).toBeGreaterThan(0)
  }, 60_000)

  test('the property notices a checkpoint that does not wait for what is in hand', async () => {
    removals.push(setFailpoint('sabotage:skip-flush', () => true))
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const source = new InMemorySource<number>()
    source.push('0', ...range(50))
    const start = (sink: InMemorySink<number>) =>
      stream(source)
        .sinkTo(sink)
        .start({ name: 'x', clock, restartGraceMs: 0, checkpoints: { storage, intervalMs: 10 } })
    const stuck = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>() })
    const first = start(stuck)
    await until(clock, () => first.status().emitted === 50)
    await clock.advance(20)
    await settled(clock, first.close())
    source.end()
    const sink = new InMemorySink<number>()
    await settled(clock, start(sink).done)
    expect(sink.stored).toEqual([])
  })
})
