import { messageOf } from '../../errors.ts'
import type { Source, SourceSplit } from '../../source/spi.ts'
import { StandClock } from '../conformance/stand-clock.ts'
import { idsOf, type Emitted } from './emitted.ts'
import { Life, type Snapshot } from './life.ts'
import { SourceBook } from './source-book.ts'
import {
  checkService,
  type SourceAbilities,
  type SourceService,
  type SourceSettings,
  type SourceSubject,
} from './subject.ts'

/** What a case asks of its stand. */
export type StandOptions = Partial<SourceSettings>

export type OpenStand = (options?: StandOptions) => Promise<Stand>

/** How a life of the source begins. */
export interface LifeOptions {
  /** @default 1 */
  readonly parallelism?: number
  readonly restored?: Snapshot
  /** False: start positions are resolved, and reading has not begun. @default true */
  readonly open?: boolean
}

/** Records of one fetch, at most, where that can be set. */
const MAX_RECORDS_PER_FETCH = 5

const STEP_MS = 20
const PATIENCE_MS = 120_000

/** The service of one case on virtual time, and the lives of the source over it, one after the other. */
export class Stand {
  readonly abilities: SourceAbilities
  readonly clock: StandClock
  readonly service: SourceService<unknown>
  readonly book: SourceBook
  readonly lives: Life[] = []
  /** The case expects that the source ends an attempt. */
  mayFail = false
  readonly #settings: SourceSettings
  #source: Source<unknown, SourceSplit, unknown> | undefined
  #sequence = 0

  private constructor(
    abilities: SourceAbilities,
    clock: StandClock,
    service: SourceService<unknown>,
    settings: SourceSettings,
  ) {
    this.abilities = abilities
    this.clock = clock
    this.service = service
    this.book = new SourceBook(abilities, service)
    this.#settings = settings
  }

  static async open(subject: SourceSubject<unknown>, options: StandOptions = {}): Promise<Stand> {
    const clock = new StandClock()
    const service = await subject.open({ clock, maxRecordsPerFetch: MAX_RECORDS_PER_FETCH })
    checkService(service, subject.abilities)
    const settings = { initialPosition: 'earliest', onPositionLost: 'fail', ...options } as const
    return new Stand(subject.abilities, clock, service, settings)
  }

  /** The splits that there are; with `individual`, names that nobody looks at. */
  get splitIds(): readonly [string, string] {
    const [first = 'queue', second = 'queue'] = this.service.splitIds
    return [first, second]
  }

  /** The source of the lives: one object, as in a process. */
  get source(): Source<unknown, SourceSplit, unknown> {
    this.#source ??= this.#createSource()
    return this.#source
  }

  /** The next life has a source of its own, as in another process. */
  anotherProcess(): void {
    this.#source = undefined
  }

  /** Puts records into a split; gives back their ids. */
  put(
    count: number,
    splitId: string = this.splitIds[0],
    shape: { readonly group?: string; readonly undecodable?: boolean; readonly sizeBytes?: number } = {},
  ): readonly string[] {
    const { undecodable = false, sizeBytes = 0, ...group } = shape
    const records = Array.from({ length: count }, () => ({
      id: `r${++this.#sequence}r`,
      undecodable,
      sizeBytes,
      ...group,
    }))
    for (const record of records) this.book.put(splitId, record)
    this.service.put(splitId, records)
    return records.map(({ id }) => id)
  }

  /** Begins a life of the source. */
  async life({ parallelism = 1, restored, open = true }: LifeOptions = {}): Promise<Life> {
    const life = new Life(this, this.source, parallelism, restored)
    this.lives.push(life)
    await life.start()
    this.book.begin()
    if (open) life.open()
    return life
  }

  /** Emits so many records of a life, however many fetches it takes. */
  async emit(life: Life, count: number): Promise<readonly Emitted[]> {
    const from = life.emitted.length
    await this.until(`${count} records are emitted`, () => {
      life.pump(count - (life.emitted.length - from))
      return life.emitted.length - from >= count
    })
    return life.emitted.slice(from)
  }

  /** Emits what comes in a while in which everything that can come does. */
  async emitRest(life: Life, forMs: number = 5000): Promise<readonly Emitted[]> {
    const from = life.emitted.length
    for (const end = this.clock.now() + forMs; this.clock.now() < end;) {
      await this.clock.advance(50)
      life.pump()
    }
    this.check()
    return life.emitted.slice(from)
  }

  /** Takes splits from the source, by their host where they have one. */
  async release(life: Life, splitIds: readonly string[], how: 'revoked' | 'lost' | 'drained'): Promise<void> {
    const { service } = this
    const released =
      this.abilities.assignment === 'enumerator' || how === 'drained'
        ? life.release(splitIds, how, 10_000)
        : how === 'lost'
          ? service.lose?.(splitIds)
          : service.revoke?.(splitIds)
    await this.outcome('a release', Promise.resolve(released))
  }

  /** Gives splits that were released to the source again: from the released position, or from where the service has it. */
  async giveBack(life: Life, splitIds: readonly string[]): Promise<void> {
    if (this.abilities.assignment === 'external') {
      await this.outcome('an assignment', Promise.resolve(this.service.assign?.(splitIds)))
      return
    }
    life.giveSplits(splitIds.flatMap((splitId) => life.released.get(splitId) ?? []))
  }

  /** Moves time on until the condition holds. */
  async until(what: string, condition: () => boolean, withinMs: number = PATIENCE_MS): Promise<void> {
    const end = this.clock.now() + withinMs
    await this.clock.flush()
    while (!condition()) {
      const failed = this.mayFail ? undefined : this.lives.flatMap(({ failures }) => failures)[0]
      if (failed !== undefined) throw new Error(`${what}: the source failed: ${failed.message}`, { cause: failed })
      if (this.clock.now() >= end) throw new Error(`not within ${withinMs} ms: ${what}`)
      await this.clock.advance(Math.min(STEP_MS, end - this.clock.now()))
      this.check()
    }
  }

  /** Moves time on until a promise settles; gives back what it rejected with. */
  async outcome(what: string, promise: Promise<unknown>, withinMs: number = PATIENCE_MS): Promise<unknown> {
    const watched = this.watch(promise)
    await this.clock.flush()
    for (const end = this.clock.now() + withinMs; !watched.done && this.clock.now() < end;) {
      await this.clock.advance(Math.min(STEP_MS, end - this.clock.now()))
    }
    if (!watched.done) throw new Error(`not within ${withinMs} ms: ${what}`)
    return watched.error
  }

  watch(promise: Promise<unknown>): { readonly done: boolean; readonly error: unknown } {
    const watched = { done: false, error: undefined as unknown }
    promise.then(
      () => {
        watched.done = true
        return undefined
      },
      (error: unknown) => {
        watched.done = true
        watched.error = error ?? new Error('rejected with nothing')
      },
    )
    return watched
  }

  /** What must hold at any time. */
  check(): void {
    this.book.check()
    const { maxFetchedBytes } = this.service
    for (const { readers, isEnded } of this.lives) {
      for (const reader of isEnded ? [] : readers) {
        const { fetchedBytes } = reader.status()
        this.expect(
          fetchedBytes <= maxFetchedBytes,
          `a reader holds ${fetchedBytes} bytes, allowed are ${maxFetchedBytes}`,
        )
      }
    }
    const [violation] = this.book.violations
    if (violation !== undefined) throw new Error(violation)
  }

  expect(holds: boolean, text: string): void {
    if (!holds) throw new Error(text)
  }

  /** Compares records with those that are due, in this order. */
  expectRecords(what: string, records: readonly Emitted[], ids: readonly string[]): void {
    const got = idsOf(records)
    const missing = ids.filter((id) => !got.includes(id))
    this.expect(
      missing.length === 0,
      `${what}: ${missing.length} of ${ids.length} records are lost, first ${missing[0]}`,
    )
    const extra = got.filter((id, index) => !ids.includes(id) || got.indexOf(id) !== index)
    this.expect(extra.length === 0, `${what}: ${extra.length} records too many, first ${extra[0]}`)
    this.expect(got.join() === ids.join(), `${what}: the order is ${got.join()}, not ${ids.join()}`)
  }

  async end(): Promise<void> {
    this.check()
    for (const life of this.lives) await life.close()
    this.check()
    const failed = this.lives.flatMap(({ failures }) => failures)[0]
    this.expect(failed === undefined || this.mayFail, `the source failed: ${messageOf(failed)}`)
    const { fetches, openHandles } = this.service
    this.expect(openHandles === 0, `${openHandles} handles are held after close`)
    this.expect(this.clock.pendingTimers === 0, `${this.clock.pendingTimers} timers are left after close`)
    await this.clock.advance(60_000)
    this.expect(this.service.fetches === fetches, 'records were fetched after close')
    this.check()
  }

  #createSource(): Source<unknown, SourceSplit, unknown> {
    const source = this.service.createSource(this.#settings)
    for (const name of ['acknowledgement', 'assignment', 'positionAuthority'] as const) {
      const is = source[name]
      const declared = this.abilities[name]
      this.expect(is === declared, `the source's ${name} is '${is}', declared is '${declared}'`)
    }
    return source
  }

  async stop(): Promise<void> {
    for (const life of this.lives) await life.close().catch(() => undefined)
    this.clock.stopped = true
  }
}
