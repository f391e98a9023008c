import { afterEach, describe, expect, test } from 'vitest'
import { type Job, noRestart, stream } from '../../src/index.ts'
import { delay } from '../../src/runtime/clock.ts'
import { setFailpoint } from '../../src/runtime/failpoints.ts'
import { InMemorySink, seededRandom, VirtualClock } from '../../src/testing.ts'
import { groupSource, prefixSource, queueSource } from './shapes.ts'
import { isPoison, Life, World } from './world.ts'

const SHAPES = { prefix: prefixSource, group: groupSource, queue: queueSource } as const
type Shape = keyof typeof SHAPES

/** Every step between received and acknowledged at which a process may die, in the order of a record's way. */
const POINTS = [
  'start:restored',
  'start:splits',
  'start:stored',
  'source:fetching',
  'source:fetched',
  'job:polled',
  'job:emitted',
  'job:calling',
  'job:called',
  'job:offered',
  'sink:submitting',
  'sink:answered',
  'sink:settled',
  'dead-letter:delivering',
  'dead-letter:delivered',
  'checkpoint:snapshot',
  'checkpoint:settled',
  'checkpoint:stored',
  'checkpoint:acknowledged',
] as const
const RELEASE_POINTS = ['release:stopped', 'release:returned', 'release:ended', 'release:acknowledged'] as const
type Point = (typeof POINTS)[number] | (typeof RELEASE_POINTS)[number]

/** The steps that a record goes through while others do: where two processes in a row die at a pair of them. */
const HOT: readonly Point[] = POINTS.slice(3)

function pointsOf(shape: Shape): readonly Point[] {
  return shape === 'group' ? [...POINTS, ...RELEASE_POINTS] : POINTS
}

const removals: (() => void)[] = []
afterEach(() => {
  for (const remove of removals.splice(0)) remove()
})

interface Death {
  readonly point: Point
  /** Dies when it comes there for the nth time. */
  readonly nth: number
}

const STEP_MS = 5
const MAX_STEPS = 400

/** Runs processes one after the other, each until it dies where it is told to; the last one to the end. */
async function live(shape: Shape, deaths: readonly Death[]): Promise<{ readonly world: World; readonly died: number }> {
  const world = new World(['0', '1', '2'], 100)
  let died = 0
  for (const death of deaths) {
    const life = new Life()
    let count = 0
    const disarm = setFailpoint(death.point, () => {
      if (++count === death.nth) life.alive = false
    })
    removals.push(disarm)
    const clock = new VirtualClock()
    start(shape, world, life, clock)
    for (let step = 0; step < MAX_STEPS && life.alive && !isDone(shape, world); step++) await clock.advance(STEP_MS)
    disarm()
    if (!life.alive) died++
    life.alive = false
  }
  const life = new Life()
  const clock = new VirtualClock()
  const job = start(shape, world, life, clock)
  for (let step = 0; step < MAX_STEPS && !isDone(shape, world); step++) await clock.advance(STEP_MS)
  await drained(job, clock)
  return { world, died }
}

function start(shape: Shape, world: World, life: Life, clock: VirtualClock): Job {
  const sink = new InMemorySink<number>({
    maxBatchSize: 5,
    maxInFlightRequests: 3,
    maxBufferedRequests: 30,
    maxTimeInBufferMS: 10,
    onSubmit: ({ entries }) =>
      life.call(async () => {
        // On its way, applied, and on its way back.
        await delay(clock, 6)
        const outcome = await life.call(() => world.write(entries))
        await delay(clock, 1)
        return outcome
      }),
  })
  return stream(SHAPES[shape](world, life))
    .mapAsync((value) => Promise.resolve(value), { concurrency: 4 })
    .sinkTo(sink)
    .start({
      name: 'lives',
      clock,
      random: seededRandom(1),
      restart: noRestart(),
      restartGraceMs: 100,
      parallelism: 2,
      deadLetters: world.deadLetters(life),
      maxDeadLetterRatio: 1,
      checkpoints: { intervalMs: 12, storage: world.storage(life) },
    })
}

/** Everything is stored or dead-lettered, and the service knows. */
function isDone(shape: Shape, world: World): boolean {
  if (world.missing.length > 0) return false
  if (shape === 'queue') return world.deleted.size === world.records.length
  const positions = new Map<string, number>(world.committed)
  for (const split of world.checkpoint?.sources['log']?.splits ?? []) {
    const { splitId, next } = split as { splitId: string; next: number }
    positions.set(splitId, next)
  }
  return [...world.splits].every(([splitId, records]) => positions.get(splitId) === records.length)
}

async function drained(job: Job, clock: VirtualClock): Promise<void> {
  const end = job.drain(1000)
  for (let step = 0; step < MAX_STEPS && job.status().state !== 'ended'; step++) await clock.advance(STEP_MS)
  expect(await end).toMatchObject({ how: 'drained', unsettled: 0 })
}

function expectNothingLost(shape: Shape, world: World): void {
  expect(world.violations).toEqual([])
  expect(world.missing).toEqual([])
  expect([...world.letters].every(isPoison)).toBe(true)
  expect([...world.stored].some(isPoison)).toBe(false)
  expect(isDone(shape, world), 'everything is acknowledged').toBe(true)
}

describe.each(['prefix', 'group', 'queue'] as const)('a job over a source of shape %s', (shape) => {
  test('loses nothing, and acknowledges nothing early, wherever it dies', async () => {
    const fired: string[] = []
    for (const point of pointsOf(shape)) {
      for (const nth of [1, 4]) {
        const { world, died } = await live(shape, [{ point, nth }])
        expectNothingLost(shape, world)
        if (died === 1) fired.push(point)
      }
    }
    const expected = pointsOf(shape).filter((point) => !fired.includes(point))
    expect(expected, 'steps that no process died at').toEqual([])
  }, 60_000)

  test('loses nothing when its successor dies at any other step', async () => {
    let fired = 0
    for (const first of HOT) {
      for (const second of HOT) {
        const { world, died } = await live(shape, [
          { point: first, nth: 2 },
          { point: second, nth: 2 },
        ])
        expectNothingLost(shape, world)
        fired += died
      }
    }
    console.log(JSON.stringify({ test: 'failpoints', shape, pairs: HOT.length ** 2, deaths: fired }))
    // Where splits come and go, a checkpoint that is given up does not come to its end twice.
    expect(fired).toBeGreaterThan((shape === 'group' ? 1.9 : 1.99) * HOT.length ** 2)
  }, 120_000)

  // What is settled and what is acknowledged is the same there, whatever a checkpoint waits for.
  const sabotages = shape === 'queue' ? ['ack-early'] : ['ack-early', 'skip-flush']
  test.each(sabotages)('is caught when it acknowledges early: %s', async (sabotage) => {
    removals.push(setFailpoint(`sabotage:${sabotage}`, () => true))
    const world = new World(['0'], 100, () => false)
    const life = new Life()
    const clock = new VirtualClock()
    const job = start(shape, world, life, clock)
    for (let step = 0; step < MAX_STEPS && world.violations.length === 0; step++) await clock.advance(STEP_MS)
    life.alive = false
    expect(world.violations).not.toEqual([])
    job.done.catch(() => undefined)
  })
})
