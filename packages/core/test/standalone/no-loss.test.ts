import { describe, expect, test } from 'vitest'
import { type Checkpoint, type CheckpointStorage, memoryCheckpoints, type Message } from '../../src/index.ts'
import { messages, type Messages, type Source, type SourceSplit } from '../../src/index.ts'
import {
  InMemoryGroupLog,
  InMemoryGroupSource,
  InMemoryQueue,
  InMemoryQueueSource,
  InMemorySource,
  type MemorySplit,
  seededRandom,
  VirtualClock,
} from '../../src/testing.ts'
import { range, settled, sorted } from '../job/harness.ts'
import { family } from './family.ts'

const SEEDS = range(40, 1)
const VALUES = 120
const INTERVAL_MS = 1000

type Random = () => number
type Values = readonly number[]

interface World {
  /** Values that are settled in this order only. */
  readonly splits: readonly Values[]
  /** How many of the splits are there from the start: what is settled of a later one counts when all before it is. */
  readonly roots: number
  /** A new process, on the same service. */
  open(): Messages<number>
  /** Something happens in the service meanwhile: what was acked of these values and is not covered may come again. */
  disturb(random: Random): Promise<Values>
  /** What was disturbed is in order again. */
  calm(): void
  /** The process is gone without a word. */
  kill(read: Messages<number>): Promise<unknown> | undefined
  end(): void
  /** Values that no later start is given. */
  covered(): Values
}

/** A storage of which a process that was killed gets no answer, and never changes anything. */
function storageOfProcesses() {
  const inner = memoryCheckpoints()
  let process = 0
  let newest: Checkpoint | undefined
  const storage: CheckpointStorage = {
    async open(job, logger) {
      const own = process
      const store = await inner.open(job, logger)
      return {
        load: () => store.load(),
        async store(checkpoint) {
          if (own !== process) return new Promise<never>(() => {})
          newest = JSON.parse(JSON.stringify(checkpoint)) as Checkpoint
          return store.store(checkpoint)
        },
        [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      }
    },
  }
  return {
    storage,
    kill: (): undefined => {
      process++
    },
    newest: () => Object.values(newest?.sources ?? {})[0],
  }
}

/** How a source whose positions are in checkpoints is put into a world. */
interface Checkpointed<Split extends SourceSplit, State> {
  readonly source: Source<number, Split, State>
  readonly values: ReadonlyMap<string, Values>
  readonly roots: number
  /** A start from that state does not read the split again. */
  isOver(splitId: string, state: State, isStored: boolean): boolean
  disturb(): void
  end(): void
}

function checkpointed<Split extends SourceSplit, State>(clock: VirtualClock, given: Checkpointed<Split, State>): World {
  const { storage, kill, newest } = storageOfProcesses()
  const options = { acknowledgeIntervalMs: INTERVAL_MS, maxAttempts: 1000, checkpoints: { storage, timeoutMs: 300 } }
  return {
    splits: [...given.values.values()],
    roots: given.roots,
    open: () => messages(given.source, { clock, ...options }),
    disturb() {
      given.disturb()
      return Promise.resolve([])
    },
    calm: () => undefined,
    kill,
    end: () => given.end(),
    covered() {
      const state = newest()
      if (state === undefined) return []
      return [...given.values].flatMap(([splitId, values]) => {
        const split = (state.splits as readonly MemorySplit[]).find((each) => each.splitId === splitId)
        const isOver = given.isOver(splitId, state.enumerator as State, split !== undefined)
        return values.slice(0, isOver ? values.length : (split?.next ?? 0))
      })
    },
  }
}

function inCheckpoints(clock: VirtualClock): World {
  const values = new Map([0, 1].map((at) => [String(at), range(VALUES).filter((value) => value % 2 === at)]))
  const source = new InMemorySource<number>({ splits: [...values.keys()], maxBatchSize: 7 })
  for (const [splitId, own] of values) source.push(splitId, ...own)
  return checkpointed(clock, {
    source,
    values,
    roots: values.size,
    isOver: (splitId, { known }, isStored) => !isStored && known.includes(splitId),
    disturb: () => source.endSplit('0'),
    end: () => source.end(),
  })
}

/** Short splits, so that many end with messages in hand; each has a parent, and every fourth has two. */
function ofParents(clock: VirtualClock): World {
  const values = new Map(range(30).map((at) => [String(at), range(4, at * 4)]))
  const parents = new Map(
    range(28, 2).map((at) => [String(at), [at - 2, ...(at % 4 === 0 ? [at - 1] : [])].map(String)]),
  )
  return checkpointed(clock, {
    source: family(values, Object.fromEntries(parents), 7),
    values,
    roots: 2,
    isOver: (splitId, { finished }) => finished.includes(splitId),
    disturb: () => undefined,
    end: () => undefined,
  })
}

function inAGroup(clock: VirtualClock): World {
  const splitIds = ['0', '1', '2']
  const log = new InMemoryGroupLog<number>({ splits: splitIds })
  const splits = splitIds.map((splitId) => range(VALUES).filter((value) => value % 3 === Number(splitId)))
  for (const [at, values] of splits.entries()) log.push(String(at), ...values)
  const held: (() => void)[] = []
  let member = 0
  const calm = (): void => {
    for (const release of held.splice(0)) release()
  }
  return {
    splits,
    roots: splits.length,
    open: () =>
      messages(new InMemoryGroupSource({ log, uid: `member${member++}`, maxBatchSize: 7 }), {
        clock,
        maxAttempts: 1000,
        acknowledgeIntervalMs: INTERVAL_MS,
        checkpoints: { timeoutMs: 300 },
      }),
    async disturb(random) {
      if (random() < 0.3) {
        // Longer than checkpoints.timeoutMs.
        held.push(log.holdNextCommit())
        return []
      }
      calm()
      const splitId = String(Math.floor(random() * 3))
      if (log.ownerOf(splitId) === undefined) return []
      await log.rebalance(random() < 0.5 ? { revoke: [splitId] } : { lose: [splitId] })
      await log.rebalance({ assign: [splitId] })
      return splits[Number(splitId)] ?? []
    },
    calm,
    async kill() {
      calm()
      await log.rebalance({ lose: splitIds.filter((splitId) => log.ownerOf(splitId) !== undefined) })
    },
    end: () => log.end(),
    covered: () => splits.flatMap((values, at) => values.slice(0, log.committed(String(at)) ?? 0)),
  }
}

function queued(clock: VirtualClock): World {
  const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000_000 })
  const calm = (): void => {
    for (let request = 0; request < 50; request++) queue.delete([]).catch(() => undefined)
  }
  const valueOf = new Map(range(VALUES).map((value) => [queue.send(value), value]))
  return {
    splits: range(VALUES).map((value) => [value]),
    roots: VALUES,
    open: () =>
      messages(new InMemoryQueueSource({ queue, maxBatchSize: 7 }), { clock, acknowledgeIntervalMs: INTERVAL_MS }),
    disturb() {
      queue.failNextDelete(new Error('not now'))
      return Promise.resolve([])
    },
    calm,
    async kill(read) {
      // What it still asks for does not arrive.
      for (let request = 0; request < 3; request++) queue.failNextDelete(new Error('killed'))
      await read.close().catch(() => undefined)
      calm()
      queue.redeliver()
    },
    end: () => undefined,
    covered: () => queue.deleted.flatMap((id) => valueOf.get(id) ?? []),
  }
}

/** Of each split what is settled without a gap; of a later split when all before it is. */
function withoutGap({ splits, roots }: World, settledValues: ReadonlySet<number>): Values {
  const prefixes: number[] = []
  for (const [at, values] of splits.entries()) {
    const gap = values.findIndex((value) => !settledValues.has(value))
    if (at >= roots && prefixes.length < splits.slice(0, at).flat().length) break
    prefixes.push(...values.slice(0, gap === -1 ? values.length : gap))
  }
  return prefixes
}

/**
 * Processes that pull, acknowledge in any order, refuse, and are closed or killed; then one that takes all that is left. At no moment
 * is anything covered that was not acknowledged, and what is covered stays so; when an interval has passed, what was settled without a
 * gap before it is covered. In the end
 * everything was acknowledged by somebody: what was acknowledged by nobody came again.
 */
async function play(
  seed: number,
  make: (clock: VirtualClock) => World,
): Promise<{ acked: Set<number>; checked: number }> {
  const random = seededRandom(seed)
  const clock = new VirtualClock()
  const world = make(clock)
  const acked = new Set<number>()
  const late: number[] = []
  let covered: Values = []
  let checked = 0
  for (let life = 0; life < 4; life++) {
    const read = world.open()
    const ofThisLife = new Set(world.covered())
    let inHand: Message<number>[] = []
    for (let step = 0; step < 40; step++) {
      let pulled: Message<number> | undefined
      void read.next().then(
        ({ value }) => (pulled = value),
        () => undefined,
      )
      await clock.advance(random() < 0.2 ? INTERVAL_MS * random() : 0)
      const isWatched = random() < 0.1
      if (isWatched) {
        world.calm()
        // What was asked of the service before has an answer.
        await clock.advance(2 * INTERVAL_MS)
      }
      if (pulled !== undefined) inHand.push(pulled)
      inHand = inHand.filter((message) => {
        if (random() < 0.6) return true
        if (random() < 0.2) message.nack()
        else if (!message.isReleased) {
          message.ack()
          acked.add(message.value)
          ofThisLife.add(message.value)
        }
        return false
      })
      if (!isWatched && random() < 0.05) {
        const again = await settled(clock, world.disturb(random))
        for (const value of again) ofThisLife.delete(value)
      }
      if (isWatched) {
        const wanted = withoutGap(world, new Set([...ofThisLife, ...world.covered()]))
        await clock.advance(INTERVAL_MS)
        const told = new Set(world.covered())
        late.push(...wanted.filter((value) => !told.has(value)))
        checked += wanted.length
      }
      const now = new Set(world.covered())
      const early = [...now].filter((value) => !acked.has(value))
      expect(early, `seed ${seed}: covered and not acknowledged`).toEqual([])
      const lost = covered.filter((value) => !now.has(value))
      expect(lost, `seed ${seed}: covered before and not now`).toEqual([])
      covered = [...now]
    }
    world.calm()
    if (random() < 0.5) await settled(clock, read.close()).catch(() => undefined)
    else await settled(clock, Promise.resolve(world.kill(read)))
  }
  world.end()
  const last = world.open()
  for (let idle = 0; idle < 5;) {
    let result: IteratorResult<Message<number>, undefined> | undefined
    void last.next().then(
      (given) => (result = given),
      () => undefined,
    )
    await clock.advance(0)
    if (result === undefined || result.done === true) idle++
    else {
      acked.add(result.value.value)
      result.value.ack()
    }
  }
  // What was made to fail has failed by now.
  await clock.advance(10 * INTERVAL_MS)
  await settled(clock, last.close()).catch(() => undefined)
  expect(late, `seed ${seed}: settled an interval before and not covered`).toEqual([])
  expect(sorted(world.covered()), `seed ${seed}: covered at the end`).toEqual(range(VALUES))
  return { acked, checked }
}

describe('whatever is acknowledged in whatever order, nothing is lost, covered early or covered late', () => {
  for (const [shape, make] of [
    ['positions in checkpoints', inCheckpoints],
    ['positions in checkpoints, of splits with children', ofParents],
    ['positions that the service keeps', inAGroup],
    ['messages acknowledged one by one', queued],
  ] as const) {
    test(`over closes and kills: ${shape}`, async () => {
      let checked = 0
      for (const seed of SEEDS) {
        const played = await play(seed, make)
        expect(sorted(played.acked), `seed ${seed}`).toEqual(range(VALUES))
        checked += played.checked
      }
      expect(checked).toBeGreaterThan(1000)
    })
  }
})
