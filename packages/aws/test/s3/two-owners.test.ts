import { type Checkpoint, type CheckpointStore, delay, SluiceError } from '@sluice/core'
import { seededRandom, VirtualClock } from '@sluice/core/testing'
import { beforeAll, expect, test } from 'vitest'

import { loadS3Sdk } from '../../src/s3/sdk.ts'
import { checkpoint, labelOf, open } from '../support/checkpoints.ts'
import { MemoryS3, reset, type S3Request } from '../support/memory-s3.ts'

// Several processes of one job, on a network that delays requests and answers, loses either, and delivers a request long after
// its sender has given it up. Attempts give up a load that is slow, and the next one begins while it goes on. Every checkpoint knows the one that its process had before: what is durable must be one chain.

const PROCESSES = 4
const MAX_STEPS = 20_000

/** From one load to the next of the same process, or its end. */
interface Attempt {
  readonly startedAt: number
  loaded: { readonly at: number; readonly chain: readonly string[] } | undefined
}

interface Message {
  readonly request: S3Request
  readonly answer: (outcome: () => unknown) => void
  outcome: (() => unknown) | undefined
}

class World {
  readonly clock = new VirtualClock()
  readonly s3 = new MemoryS3()
  readonly random: () => number
  readonly network: Message[] = []
  /** By checkpoint, the one before it. */
  readonly before = new Map<string, string | undefined>()
  /** By checkpoint, the attempt that made it. */
  readonly madeBy = new Map<string, Attempt>()
  readonly attempts: Attempt[] = []
  /** The newest one whose `store()` has resolved, or that a `load()` has returned. */
  newest: string | undefined
  readonly counts = { stored: 0, loaded: 0, fenced: 0, repeated: 0, late: 0, givenUp: 0 }
  #cutChance = 0
  /** Processes that run, and whether another one ran at the same time. */
  readonly #alive = new Map<number, { accompanied: boolean }>()
  #labels = 0
  #now = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.s3.pageSize = 2
    this.s3.handle = (request) => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const answer = (outcome: () => unknown): void => {
        try {
          resolve(outcome())
        } catch (error) {
          reject(error)
        }
      }
      this.network.push({ request, answer, outcome: undefined })
      return promise
    }
  }

  async run(): Promise<void> {
    const processes: Promise<void>[] = []
    for (let step = 0; processes.length < PROCESSES || this.#alive.size > 0; step++) {
      if (step > MAX_STEPS) throw new Error('the processes do not end')
      // Outages come and go.
      if (step % 40 === 0) this.#cutChance = this.random() < 0.2 ? 0.8 : 0.03
      const isNext = processes.length < PROCESSES && (this.#alive.size === 0 || this.random() < 0.01)
      if (isNext) processes.push(this.#process(processes.length))
      else if (this.network.length === 0 || this.random() < 0.03) await this.clock.advance(this.random() * 4000)
      else this.#step()
      this.#now = step
      await this.clock.flush()
    }
    await Promise.all(processes)
  }

  #step(): void {
    const index = Math.floor(this.random() * this.network.length)
    const message = this.network[index]
    if (message === undefined) return
    const chance = this.random()
    if (chance < this.#cutChance) {
      // The sender sees the connection break; the request is lost, or the service receives it later.
      message.answer(() => {
        throw reset()
      })
      if (chance < this.#cutChance / 5 || message.outcome !== undefined) this.network.splice(index, 1)
      return
    }
    if (message.outcome === undefined) {
      if (message.request.signal.aborted && message.request.action === 'Put') this.counts.late++
      const outcome = applied(message.request)
      message.outcome = outcome
      if (this.random() < 0.5) return
    }
    this.network.splice(index, 1)
    message.answer(message.outcome)
  }

  async #process(index: number): Promise<void> {
    const own = { accompanied: this.#alive.size > 0 }
    for (const other of this.#alive.values()) other.accompanied = true
    this.#alive.set(index, own)
    try {
      await this.#job(await open(this.s3, { clock: this.clock, keep: 2, requestTimeoutMs: 3000 }), index)
    } catch (error) {
      if (!SluiceError.isInstance(error)) throw error
      if (error.code === 'SLUICE_STATE_FENCED' && own.accompanied) this.counts.fenced++
      else if (!error.restartable && error.code !== 'SLUICE_STATE_OWNED') throw error
    } finally {
      this.#alive.delete(index)
    }
  }

  async #job(store: CheckpointStore, index: number): Promise<void> {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        const known = this.newest
        const own: Attempt = { startedAt: this.#now, loaded: undefined }
        this.attempts.push(own)
        const restored = await this.#load(store)
        const label = labelOf(restored) as string | undefined
        this.#mustFollow(label, known, `process ${index} loaded`)
        this.#mustBeAlive(label, own, `process ${index} loaded`)
        this.#reach(label)
        own.loaded = { at: this.#now, chain: this.#chain(label) }
        this.counts.loaded++
        await this.#stores(store, index, own, restored?.id ?? 0, label)
      } catch (error) {
        if (!SluiceError.isInstance(error) || !error.restartable) throw error
        this.counts.repeated++
      }
    }
  }

  /** In a third of the attempts it may not last long, as with the deadline of a start. */
  async #load(store: CheckpointStore): Promise<Checkpoint | undefined> {
    const loading = store.load()
    if (this.random() < 0.67) return loading
    const expired = delay(this.clock, this.random() * 8000).then(() => 'expired' as const)
    const first = await Promise.race([loading, expired])
    if (first !== 'expired') return first
    loading.catch(() => undefined)
    this.counts.givenUp++
    throw new SluiceError('SLUICE_DEADLINE_EXCEEDED', 'the load took too long', { restartable: true })
  }

  async #stores(
    store: CheckpointStore,
    index: number,
    own: Attempt,
    lastId: number,
    loaded: string | undefined,
  ): Promise<void> {
    let last = loaded
    const stores = Math.max(0, Math.floor(this.random() * 6) - 2)
    for (let id = lastId + 1; id <= lastId + stores; id++) {
      const label = `${index}#${++this.#labels}`
      this.before.set(label, last)
      this.madeBy.set(label, own)
      const known = this.newest
      await store.store(checkpoint(id, label))
      this.#mustFollow(label, known, `process ${index} stored`)
      this.#reach(label)
      this.counts.stored++
      last = label
    }
  }

  /** Two processes may get there at the same time; what is newest is what the other follows from. */
  #reach(label: string | undefined): void {
    if (this.newest === undefined || this.#chain(label).includes(this.newest)) this.newest = label
  }

  #mustFollow(label: string | undefined, known: string | undefined, what: string): void {
    if (known === undefined || this.#chain(label).includes(known)) return
    throw new Error(`${what} ${label}, which does not come after ${known}`)
  }

  /** What an attempt stored and a later one had not found when it loaded is stale for ever, whether or not it was reported as stored. */
  #mustBeAlive(label: string | undefined, by: Attempt, what: string): void {
    const maker = label === undefined ? undefined : this.madeBy.get(label)?.loaded
    if (label === undefined || maker === undefined) return
    const stale = this.attempts.find(
      ({ startedAt, loaded }) =>
        loaded !== undefined && loaded.at < by.startedAt && maker.at < startedAt && !loaded.chain.includes(label),
    )
    if (stale !== undefined) throw new Error(`${what} ${label}, which a later attempt had not found`)
  }

  #chain(label: string | undefined): string[] {
    const chain: string[] = []
    for (let at = label; at !== undefined; at = this.before.get(at)) chain.push(at)
    return chain
  }
}

function applied(request: S3Request): () => unknown {
  try {
    const output = request.apply()
    return () => output
  } catch (error) {
    return () => {
      throw error
    }
  }
}

beforeAll(async () => {
  await loadS3Sdk()
})

test('whatever the interleaving, what was stored or loaded is one chain that never goes backwards', async () => {
  const total = { stored: 0, loaded: 0, fenced: 0, repeated: 0, late: 0, givenUp: 0 }
  for (let seed = 1; seed <= 250; seed++) {
    const world = new World(seed)
    await world.run().catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
    })
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += world.counts[key]
  }
  // The worlds were as wild as they were meant to be.
  expect(total.stored).toBeGreaterThan(200)
  expect(total.loaded).toBeGreaterThan(200)
  expect(total.fenced).toBeGreaterThan(50)
  expect(total.repeated).toBeGreaterThan(10)
  expect(total.late).toBeGreaterThan(20)
  expect(total.givenUp).toBeGreaterThan(50)
}, 240_000)
