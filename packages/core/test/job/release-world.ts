import { deepStrictEqual as same, ok } from 'node:assert/strict'
import {
  type CheckpointStorage,
  type Job,
  type JobOptions,
  memoryCheckpoints,
  type ReleaseHow,
  stream,
  type SubmitOutcome,
} from '../../src/index.ts'
import { ScriptedSource } from '../../src/testing.ts'
import { InMemorySink, options, range, settled, until, VirtualClock } from './harness.ts'

type Position = Awaited<ReturnType<ScriptedSource<string>['release']>>[number]

export const SPLITS = ['a', 'b', 'c'] as const

export interface ReleaseWorldOptions {
  readonly positionAuthority: 'checkpoint' | 'external'
  readonly asynchronous: boolean
  /** What the store of each sink does with its next request. */
  onSubmit(sink: string, clock: VirtualClock): Promise<SubmitOutcome> | SubmitOutcome
  /** What a call of `mapAsync` waits for. */
  onCall?(clock: VirtualClock): Promise<void> | void
}

/**
 * A job over three splits and two sinks whose splits come and go. Whenever a position leaves core, in a checkpoint, in a commit or as
 * the result of a release, every record before it must lie in both stores, and no split may be missing.
 */
export class ReleaseWorld {
  readonly clock: VirtualClock = new VirtualClock()
  readonly source: ScriptedSource<string>
  readonly sinks: readonly InMemorySink<string>[]
  /** Splits that nobody has, where they may go on. */
  readonly free: Map<string, Position> = new Map<string, Position>()
  readonly seen: Set<string> = new Set<string>()
  readonly #given: ReleaseWorldOptions
  readonly #storage: CheckpointStorage
  readonly #releasing = new Set<Promise<void>>()
  #job: Job | undefined

  constructor(given: ReleaseWorldOptions) {
    this.#given = given
    this.source = new ScriptedSource<string>({
      splits: SPLITS,
      maxBatchSize: 7,
      positionAuthority: given.positionAuthority,
    })
    this.sinks = ['one', 'two'].map(
      (uid) =>
        new InMemorySink<string>({
          uid,
          maxBatchSize: 4,
          maxBufferedRequests: uid === 'one' ? 40 : 8,
          maxTimeInBufferMS: 300,
          onSubmit: () => given.onSubmit(uid, this.clock),
        }),
    )
    this.#storage = this.#checked()
    const commit = this.source.commit.bind(this.source)
    this.source.commit = (splits, ...rest) => {
      if (given.positionAuthority === 'external') for (const split of splits) this.#look(split, 'a commit')
      return commit(splits, ...rest)
    }
  }

  get job(): Job {
    if (this.#job === undefined) throw new Error('no job runs')
    return this.#job
  }

  async start(given: Partial<JobOptions> = {}): Promise<void> {
    const records = this.#given.asynchronous
      ? stream(this.source).mapAsync(
          async (value) => {
            await this.#given.onCall?.(this.clock)
            return value
          },
          { concurrency: 3, ordered: true },
        )
      : stream(this.source).map((value) => value)
    const [one, two] = this.sinks
    if (one === undefined || two === undefined) throw new Error('two sinks')
    this.#job = records
      .sinkTo(one)
      .sinkTo(two)
      .start(
        options(this.clock, { parallelism: 2, ...given, checkpoints: { intervalMs: 100, storage: this.#storage } }),
      )
    await until(this.clock, () => this.job.status().state === 'running', 1)
  }

  push(splitId: string, count: number): void {
    const { next } = this.#pushed(splitId)
    this.source.log.push(
      splitId,
      range(count, next).map((index) => `${splitId}${index}`),
    )
  }

  /** Releases splits; what comes back stays free until {@link ReleaseWorld.assign}. */
  release(splitIds: readonly string[], how: ReleaseHow, deadlineMs: number): Promise<void> {
    const startedAt = this.clock.now()
    const job = this.#job
    const work = this.source.release(splitIds, how, deadlineMs).then((released) => {
      if (this.#job !== job) return undefined
      ok(this.clock.now() <= startedAt + deadlineMs, 'a release ended after its deadline')
      for (const split of released) {
        this.#look(split, `a release, ${how}`)
        ok(!this.free.has(split.splitId), `split ${split.splitId} was handed back twice`)
        this.free.set(split.splitId, split)
      }
      return this.seen.add(released.length > 0 ? how : 'nothing released')
    })
    const settledWork = work.then(() => void this.#releasing.delete(settledWork))
    this.#releasing.add(settledWork)
    return settledWork
  }

  assign(splitId: string, subtask: number): void {
    const split = this.free.get(splitId)
    if (split === undefined) return
    this.free.delete(splitId)
    this.source.assign([split], subtask)
    this.seen.add('came back')
  }

  /** Ends the job without a drain and starts it again from what is stored. */
  async restart(): Promise<void> {
    await settled(this.clock, this.job.close(), 10)
    await settled(this.clock, Promise.allSettled(this.#releasing), 10)
    this.#job = undefined
    this.free.clear()
    this.seen.add('restart')
    await this.start()
  }

  /** Everything is read to its end, and must be in both stores. */
  async finish(): Promise<void> {
    await settled(this.clock, Promise.all(this.#releasing), 10)
    for (const splitId of SPLITS) this.assign(splitId, 0)
    this.source.log.end()
    same((await settled(this.clock, this.job.done, 50)).how, 'finished')
    for (const splitId of SPLITS) this.#look(this.#pushed(splitId), 'the end')
  }

  #pushed(splitId: string): Position {
    return { splitId, next: this.source.log.position(splitId, 'latest') }
  }

  #look({ splitId, next }: Position, where: string): void {
    for (const { uid, stored } of this.sinks) {
      const held = new Set(stored)
      const missing = range(next)
        .map((index) => `${splitId}${index}`)
        .filter((value) => !held.has(value))
      same(missing, [], `${where} lies behind records that sink ${uid} does not hold`)
    }
  }

  #checked(): CheckpointStorage {
    const inner = memoryCheckpoints()
    return {
      open: async (...given) => {
        const store = await inner.open(...given)
        return {
          load: () => store.load(),
          store: async (checkpoint) => {
            const state = checkpoint.sources[this.source.uid]
            const { released } = (state?.enumerator ?? { released: [] }) as { readonly released: readonly Position[] }
            const splits = [...((state?.splits ?? []) as readonly Position[]), ...released]
            const ids = splits.map(({ splitId }) => splitId).toSorted()
            same(ids, [...new Set(ids)], `checkpoint ${checkpoint.id} has a split twice`)
            // One that is finished leaves with the checkpoint after the one that covers it.
            if (!this.source.log.ended) same(ids, [...SPLITS], `checkpoint ${checkpoint.id} has not every split`)
            for (const split of splits) this.#look(split, `checkpoint ${checkpoint.id}`)
            return store.store(checkpoint)
          },
          [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
        }
      },
    }
  }
}
