import {
  type Reason,
  type SinkContext,
  type SinkStatus,
  type SinkWriter,
  SluiceError,
  type Timer,
  type WriteBatch,
} from '../../../src/index.ts'
import type { SinkLimits, SinkRecord } from '../../../src/testing/conformance/subject.ts'
import type { ScriptedStore, StoreAnswer } from '../../../src/testing/scripted-store.ts'
import { type Entry, entriesOf, keyNumber } from './subjects.ts'

export interface Item {
  readonly entry: Entry
  readonly token: number
  readonly bytes: number
  readonly at: number
  tries: number
  hastened: boolean
}

export interface Lane {
  readonly destination: string
  queue: Item[]
  /** To be sent exactly so, in order, before the queue. */
  readonly parts: Item[][]
  flight: { readonly items: Item[]; readonly timer: Timer } | undefined
  notBefore: number
}

const LANES = 4

/**
 * A writer by hand, without the engine: lanes by destination and key, each with one request in flight and whatever is to be sent again
 * at its head. What it does in one place, a broken writer of the tests does otherwise.
 */
export class PlainWriter implements SinkWriter<SinkRecord> {
  protected readonly context: SinkContext
  protected readonly limits: SinkLimits
  protected readonly store: ScriptedStore<Entry>
  protected readonly lanes: Map<string, Lane> = new Map<string, Lane>()
  protected readonly refusing: Set<Item> = new Set<Item>()
  protected readonly pausedUntil: Map<string, number> = new Map<string, number>()
  protected counts = { accepted: 0, written: 0, duplicate: 0, dropped: 0, deadLettered: 0, returned: 0, abandoned: 0 }
  protected closing: Promise<void> | undefined
  protected isClosed = false
  /** Requests in flight that the store bears. */
  protected flightsAllowed: number
  #waiters: (() => void)[] = []
  #timer: Timer | undefined

  constructor(context: SinkContext, limits: SinkLimits, store: ScriptedStore<Entry>) {
    this.context = context
    this.limits = limits
    this.flightsAllowed = limits.maxInFlightRequests
    this.store = store
  }

  write({ values, tokens, byteLengths }: WriteBatch<SinkRecord>, from: number, to: number): number {
    let index = from
    for (; index < to && this.closing === undefined && this.hasRoom(); index++) {
      this.accept(values[index] as SinkRecord, tokens[index] as number, byteLengths[index] as number)
    }
    this.pump()
    return index
  }

  ready(): Promise<void> {
    if (this.closing === undefined && this.hasRoom()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
    })
  }

  hasten(): void {
    for (const { queue } of this.lanes.values()) for (const item of queue) item.hastened = true
    this.pump()
  }

  release(_splitId: string): number {
    const before = this.counts.returned
    const keep = (item: Item): boolean => !this.giveBack(item)
    for (const lane of this.lanes.values()) {
      lane.queue = lane.queue.filter(keep)
      const parts = lane.parts.splice(0).map((part) => part.filter(keep))
      lane.parts.push(...parts.filter(({ length }) => length > 0))
    }
    this.pump()
    return this.counts.returned - before
  }

  close(deadlineMs: number): Promise<void> {
    this.closing ??= this.end(deadlineMs)
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0)
  }

  status(): SinkStatus {
    const queued = this.queued()
    const flights = [...this.lanes.values()].flatMap(({ flight }) => flight ?? [])
    const inFlight = flights.flatMap(({ items }) => items)
    const all = [...queued, ...inFlight, ...this.refusing]
    return {
      ...this.counts,
      inHand: all.length,
      bufferedRecords: queued.length + this.refusing.size,
      retryingRecords: queued.filter(({ tries }) => tries > 0).length,
      inFlightRecords: inFlight.length,
      inFlightRequests: flights.length,
      bufferedBytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  protected queued(): readonly Item[] {
    return [...this.lanes.values()].flatMap(({ queue, parts }) => [...parts.flat(), ...queue])
  }

  protected hasRoom(): boolean {
    const { inHand, bufferedBytes } = this.status()
    return inHand < this.limits.maxBufferedRequests && bufferedBytes < this.limits.maxBufferedBytes
  }

  protected accept(record: SinkRecord, token: number, bytes: number): void {
    const item = (entry: Entry, share: number): Item => {
      return { entry, token, bytes: share, at: this.context.clock.now(), tries: 0, hastened: false }
    }
    let entries: readonly Entry[]
    try {
      entries = [...entriesOf(record)]
    } catch (error) {
      this.counts.accepted++
      const none = { ...record, part: 0, content: '' }
      this.refuse(item(none, bytes), { code: 'convertThrew', message: 'the conversion threw', cause: error }, 'convert')
      return
    }
    this.counts.accepted += entries.length
    if (entries.length !== 1) this.context.settlement.became(token, entries.length)
    for (const entry of entries) this.laneOf(entry).queue.push(item(entry, Math.ceil(bytes / entries.length)))
  }

  protected laneOf({ destination, key }: Entry): Lane {
    const name = `${destination}/${keyNumber(key) % LANES}`
    let lane = this.lanes.get(name)
    if (lane === undefined) {
      lane = { destination, queue: [], parts: [], flight: undefined, notBefore: 0 }
      this.lanes.set(name, lane)
    }
    return lane
  }

  protected pump(): void {
    if (this.closing !== undefined) return
    const now = this.context.clock.now()
    let dueAt = Number.POSITIVE_INFINITY
    let inFlight = [...this.lanes.values()].filter(({ flight }) => flight !== undefined).length
    for (const lane of this.lanes.values()) {
      if (lane.flight !== undefined || inFlight >= this.flightsAllowed) continue
      const at = this.dueAt(lane)
      if (at <= now) {
        inFlight++
        this.send(lane, lane.parts.shift() ?? this.nextBatch(lane))
      } else dueAt = Math.min(dueAt, at)
    }
    this.#timer?.cancel()
    if (dueAt !== Number.POSITIVE_INFINITY) {
      this.#timer = this.context.clock.after(dueAt - now, () => this.pump())
    }
    if (this.hasRoom()) this.wake()
  }

  protected wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  protected dueAt(lane: Lane): number {
    const [oldest] = lane.queue
    const { maxBatchSize, maxTimeInBufferMS } = this.limits
    const pause = Math.max(lane.notBefore, this.pausedUntil.get(lane.destination) ?? 0)
    if (lane.parts.length > 0) return pause
    if (oldest === undefined) return Number.POSITIVE_INFINITY
    // A buffer that is full fills no batch any more.
    const isUrgent = lane.queue.length >= maxBatchSize || !this.hasRoom() || lane.queue.some(({ hastened }) => hastened)
    return isUrgent || oldest.tries > 0 ? pause : Math.max(pause, oldest.at + maxTimeInBufferMS)
  }

  /** From the head on; of a key one entry only, since the store may want it again alone. */
  protected nextBatch(lane: Lane): Item[] {
    const batch: Item[] = []
    const keys = new Set<string>()
    const rest: Item[] = []
    for (const item of lane.queue) {
      if (batch.length >= this.limits.maxBatchSize || keys.has(item.entry.key)) rest.push(item)
      else batch.push(item)
      keys.add(item.entry.key)
    }
    lane.queue = rest
    return batch
  }

  protected send(lane: Lane, items: Item[]): void {
    const { clock } = this.context
    const timer = clock.after(this.limits.requestTimeoutMs, () => this.answered(lane, flight, { kind: 'cut' }))
    const flight = { items, timer }
    lane.flight = flight
    this.store
      .receive(
        items.map((item) => this.encode(item)),
        lane.destination,
      )
      .then(
        (answer) => this.answered(lane, flight, answer),
        () => this.answered(lane, flight, { kind: 'meaningless' }),
      )
  }

  protected encode({ entry }: Item): Entry {
    return entry
  }

  protected answered(lane: Lane, flight: NonNullable<Lane['flight']>, answer: StoreAnswer): void {
    if (lane.flight !== flight || this.isClosed) return
    lane.flight = undefined
    flight.timer.cancel()
    this.judge(lane, flight.items, answer)
    this.pump()
  }

  protected judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
    const { length } = items
    switch (answer.kind) {
      case 'stored':
        for (const item of items) this.settle(item)
        this.flightsAllowed = Math.min(this.flightsAllowed + 1, this.limits.maxInFlightRequests)
        return
      case 'entries':
        this.judgeEach(lane, items, answer.outcomes)
        return
      case 'throttled':
        this.flightsAllowed = Math.max(1, Math.floor(this.flightsAllowed / 2))
        if (answer.afterMs !== undefined) {
          this.pausedUntil.set(lane.destination, this.context.clock.now() + answer.afterMs)
        }
        this.again(lane, items)
        return
      case 'tooLarge':
        this.halve(lane, items, { code: 'tooLarge', message: 'the request is too large' })
        return
      case 'refused':
      case 'conflict':
        if (this.closing === undefined) this.halve(lane, items, { code: answer.kind, message: 'the store refuses it' })
        else lane.queue.unshift(...items)
        return
      case 'denied':
        lane.queue.unshift(...items)
        lane.notBefore = Number.POSITIVE_INFINITY
        this.context.fail(new SluiceError('SLUICE_ACCESS_DENIED', 'the store denies it'))
        return
      case 'unavailable':
      case 'cut':
      case 'meaningless':
      case 'short':
      case 'threw':
        this.again(lane, items)
        return
      default:
        throw new RangeError(`${length} entries have an unknown answer`)
    }
  }

  protected judgeEach(lane: Lane, items: Item[], outcomes: readonly string[]): void {
    const busy: Item[] = []
    for (const [index, item] of items.entries()) {
      const outcome = outcomes[index]
      if (outcome === 'stored') this.settle(item)
      else if (outcome === 'busy' || this.closing !== undefined) busy.push(item)
      else this.refuse(item, { code: String(outcome), message: 'the store refuses it' }, 'store')
    }
    if (busy.length > 0) this.again(lane, busy)
  }

  /** Halves in order; beyond the budget the rest is refused. */
  protected halve(lane: Lane, items: Item[], reason: Reason): void {
    const isCounted = reason.code !== 'tooLarge'
    const isSpent = isCounted && Math.log2(items.length) * 2 > this.limits.maxIsolationRequests
    if (items.length === 1 || isSpent) {
      for (const item of items) this.refuse(item, reason, 'store')
      return
    }
    const middle = Math.ceil(items.length / 2)
    lane.parts.unshift(items.slice(0, middle), items.slice(middle))
  }

  protected again(lane: Lane, items: Item[]): void {
    const { random, clock } = this.context
    const { initialDelayMs, maxDelayMs } = this.limits.retry
    const kept = items.filter((item) => !this.giveBack(item))
    for (const item of kept) item.tries++
    const most = Math.max(0, ...kept.map(({ tries }) => tries))
    lane.notBefore = clock.now() + Math.min(maxDelayMs, initialDelayMs * 2 ** most) * (0.5 + random() / 2)
    // What stood behind parts in the lane must not come before them.
    if (lane.parts.length > 0 && kept.length > 0) lane.parts.unshift(kept)
    else lane.queue.unshift(...kept)
  }

  /** Returns the entry if its split was released. */
  protected giveBack(item: Item): boolean {
    const { settlement } = this.context
    if (this.isClosed || !settlement.isReleased(item.token)) return false
    this.counts.returned++
    settlement.returned(item.token)
    return true
  }

  protected settle(item: Item): void {
    this.counts.written++
    this.context.settlement.settle(item.token)
  }

  protected refuse(item: Item, reason: Reason, stage: 'convert' | 'store'): void {
    const { settlement } = this.context
    this.refusing.add(item)
    const attempts = stage === 'convert' ? 0 : item.tries + 1
    void settlement.refused({ token: item.token, stage, reason, entry: item.entry, attempts }).then((taken) => {
      if (!taken || !this.refusing.delete(item)) return undefined
      this.counts.deadLettered++
      settlement.settle(item.token)
      return this.pump()
    })
  }

  protected async end(deadlineMs: number): Promise<void> {
    const { clock } = this.context
    this.#timer?.cancel()
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const timer = clock.after(deadlineMs, resolve)
    const isIdle = (): boolean => [...this.lanes.values()].every(({ flight }) => flight === undefined)
    if (isIdle()) resolve()
    await over
    timer.cancel()
    this.abandon()
  }

  protected abandon(): void {
    for (const { flight } of this.lanes.values()) flight?.timer.cancel()
    this.counts.abandoned += this.status().inHand
    this.lanes.clear()
    this.refusing.clear()
    this.isClosed = true
    this.wake()
  }
}
