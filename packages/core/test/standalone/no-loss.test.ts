import { describe, expect, test } from 'vitest'
import { memoryCheckpoints, type Message, messages, type Messages } from '../../src/index.ts'
import {
  InMemoryGroupLog,
  InMemoryGroupSource,
  InMemoryQueue,
  InMemoryQueueSource,
  InMemorySource,
  seededRandom,
  VirtualClock,
} from '../../src/testing.ts'
import { range, settled, sorted } from '../job/harness.ts'

const SEEDS = range(40, 1)
const VALUES = 120

interface World {
  /** A new process, on the same service. */
  open(): Messages<number>
  /** Something happens in the service meanwhile. */
  disturb(random: () => number): Promise<unknown>
  /** The process is gone without a word. */
  kill(read: Messages<number>): Promise<unknown> | undefined
  end(): void
}

function checkpointed(clock: VirtualClock): World {
  const source = new InMemorySource<number>({ splits: ['0', '1'], maxBatchSize: 7 })
  for (const value of range(VALUES)) source.push(String(value % 2), value)
  const storage = memoryCheckpoints()
  return {
    open: () => messages(source, { clock, checkpoints: { storage }, acknowledgeIntervalMs: 1000, maxAttempts: 1000 }),
    disturb: () => Promise.resolve(source.endSplit('0')),
    kill: () => undefined,
    end: () => source.end(),
  }
}

function inAGroup(clock: VirtualClock): World {
  const log = new InMemoryGroupLog<number>({ splits: ['0', '1', '2'] })
  for (const value of range(VALUES)) log.push(String(value % 3), value)
  let member = 0
  return {
    open: () =>
      messages(new InMemoryGroupSource({ log, uid: `member${member++}`, maxBatchSize: 7 }), {
        clock,
        maxAttempts: 1000,
      }),
    async disturb(random) {
      const splitId = String(Math.floor(random() * 3))
      if (log.ownerOf(splitId) === undefined) return
      await log.rebalance(random() < 0.5 ? { revoke: [splitId] } : { lose: [splitId] })
      await log.rebalance({ assign: [splitId] })
    },
    async kill() {
      const splits = ['0', '1', '2'].filter((splitId) => log.ownerOf(splitId) !== undefined)
      await log.rebalance({ lose: splits })
    },
    end: () => log.end(),
  }
}

function queued(clock: VirtualClock): World {
  const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000_000 })
  for (const value of range(VALUES)) queue.send(value)
  return {
    open: () => messages(new InMemoryQueueSource({ queue, maxBatchSize: 7 }), { clock }),
    disturb: () => Promise.resolve(),
    async kill(read) {
      // What it still asks for does not arrive.
      for (let request = 0; request < 3; request++) queue.failNextDelete(new Error('killed'))
      await read.close().catch(() => undefined)
      queue.redeliver()
    },
    end: () => undefined,
  }
}

/**
 * Processes that pull, acknowledge in any order, refuse, and are closed or killed; then one that takes all that is left. Everything
 * was acknowledged by somebody: what was acknowledged by nobody came again.
 */
async function play(seed: number, make: (clock: VirtualClock) => World): Promise<Set<number>> {
  const random = seededRandom(seed)
  const clock = new VirtualClock()
  const world = make(clock)
  const acked = new Set<number>()
  for (let life = 0; life < 4; life++) {
    const read = world.open()
    let inHand: Message<number>[] = []
    for (let step = 0; step < 40; step++) {
      let pulled: Message<number> | undefined
      void read.next().then(
        ({ value }) => (pulled = value),
        () => undefined,
      )
      await clock.advance(random() < 0.2 ? 1000 * random() : 0)
      if (pulled !== undefined) inHand.push(pulled)
      inHand = inHand.filter((message) => {
        if (random() < 0.6) return true
        if (random() < 0.2) message.nack()
        else if (!message.isReleased) {
          message.ack()
          acked.add(message.value)
        }
        return false
      })
      if (random() < 0.05) await settled(clock, world.disturb(random))
    }
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
  await settled(clock, last.close()).catch(() => undefined)
  return acked
}

describe('whatever is acknowledged in whatever order, nothing is lost', () => {
  for (const [shape, make] of [
    ['positions in checkpoints', checkpointed],
    ['positions that the service keeps', inAGroup],
    ['messages acknowledged one by one', queued],
  ] as const) {
    test(`over closes and kills: ${shape}`, async () => {
      for (const seed of SEEDS) {
        const acked = await play(seed, make)
        expect(sorted(acked), `seed ${seed}`).toEqual(range(VALUES))
      }
    })
  }
})
