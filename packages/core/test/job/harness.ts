import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import {
  ALL_WRITTEN,
  type CheckpointStorage,
  type Job,
  type JobEnd,
  type JobOptions,
  memoryCheckpoints,
  noRestart,
  type Sink,
  stream,
  SluiceError,
  type SubmitOutcome,
} from '../../src/index.ts'
import { InMemorySink, InMemorySource, seededRandom, VirtualClock } from '../../src/testing.ts'

export { ALL_WRITTEN, InMemorySink, InMemorySource, VirtualClock }

const REAL_DEADLINE_MS = 10_000

/** Moves virtual time on in steps until the condition holds. */
export async function until(clock: VirtualClock, condition: () => boolean, stepMs = 0): Promise<void> {
  const deadline = performance.now() + REAL_DEADLINE_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not reached: ${condition.toString()}`)
    await clock.advance(stepMs)
  }
}

/** Moves virtual time on until the promise settles, and gives its value or throws its reason. */
export async function settled<T>(clock: VirtualClock, promise: Promise<T>, stepMs = 100): Promise<T> {
  let done = false
  const mark = (): void => {
    done = true
  }
  promise.then(mark, mark)
  await until(clock, () => done, stepMs)
  return promise
}

/** The SluiceError that the promise rejects with. */
export async function failure(clock: VirtualClock, promise: Promise<unknown>, stepMs = 100): Promise<SluiceError> {
  const error: unknown = await settled(clock, promise, stepMs).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!SluiceError.isInstance(error)) throw new Error(`not a SluiceError: ${String(error)}`, { cause: error })
  return error
}

export function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

export function sorted(values: Iterable<number>): number[] {
  return [...values].sort((a, b) => a - b)
}

export function distinct(values: Iterable<number>): number[] {
  return sorted(new Set(values))
}

/** A store that answers only when it is told to. */
export class Gate {
  #waiting: (() => void)[] = []
  #open = false

  readonly pass = async (): Promise<SubmitOutcome> => {
    if (!this.#open) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
    return ALL_WRITTEN
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Answers one request. */
  one(): void {
    this.#waiting.shift()?.()
  }

  /** Answers all, now and from now on. */
  open(): void {
    this.#open = true
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  shut(): void {
    this.#open = false
  }
}

export function never<T = void>(): Promise<T> {
  return new Promise<T>(() => {})
}

/** Options of a job on virtual time; nothing restarts and no interval passes unless a test says so. */
export function options(clock: VirtualClock, given: Partial<JobOptions> = {}): JobOptions {
  return {
    name: 'test',
    clock,
    random: seededRandom(1),
    restart: noRestart(),
    ...given,
    checkpoints: { intervalMs: 1_000_000_000, storage: memoryCheckpoints(), ...given.checkpoints },
  }
}

export function start<T>(
  source: InMemorySource<T>,
  sink: Sink<T>,
  clock: VirtualClock,
  given: Partial<JobOptions> = {},
): Job {
  return stream(source).sinkTo(sink).start(options(clock, given))
}

export async function ended(clock: VirtualClock, job: Job, stepMs = 100): Promise<JobEnd> {
  return settled(clock, job.done, stepMs)
}

/** A folder of this test's own. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-core-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export interface Recorded {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: Record<string, unknown>
  readonly message: string
}

export function recorder(): {
  readonly lines: Recorded[]
  readonly logger: NonNullable<JobOptions['logger']>
} {
  const lines: Recorded[] = []
  const at =
    (level: Recorded['level']) =>
    (fields: object, message: string): void =>
      void lines.push({ level, fields: { ...fields }, message })
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

/** What is kept outlives the process that a test lets die, and every call can be looked at and made to fail or wait. */
export function spiedStorage(): CheckpointStorage & {
  readonly stored: { readonly id: number; readonly json: string }[]
  onStore: (id: number) => Promise<void> | void
  opened: number
  closed: number
} {
  const inner = memoryCheckpoints()
  const spy = {
    stored: [] as { readonly id: number; readonly json: string }[],
    onStore: (_id: number): Promise<void> | void => undefined,
    opened: 0,
    closed: 0,
    async open(job: string, logger: Parameters<CheckpointStorage['open']>[1]) {
      spy.opened++
      const store = await inner.open(job, logger)
      return {
        load: () => store.load(),
        async store(checkpoint: Parameters<typeof store.store>[0]) {
          await spy.onStore(checkpoint.id)
          const bytes = await store.store(checkpoint)
          spy.stored.push({ id: checkpoint.id, json: JSON.stringify(checkpoint) })
          return bytes
        },
        async [Symbol.asyncDispose]() {
          spy.closed++
          await store[Symbol.asyncDispose]()
        },
      }
    },
  }
  return spy
}
