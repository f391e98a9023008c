import type { Refusal, Settlement } from '../../sink/spi.ts'
import type { StoreRequest } from '../scripted-store.ts'
import type { SentEntry, SinkAbilities, SinkLimits, SinkRecord } from './subject.ts'

/** One value that was offered to the writer, with all that was seen of it. */
export interface Input {
  readonly record: SinkRecord
  readonly token: number
  readonly splitId: string
  readonly byteLength: number
  state: 'new' | 'offered' | 'accepted'
  /** Entries that were settled. */
  settled: number
  returned: number
  became: number | undefined
  /** Parts that the store confirmed in time. */
  readonly confirmed: Set<number>
  /** Parts that the store confirmed or holds another value of, also too late. */
  readonly settleable: Set<number>
  /** Parts that the store refused, by name or alone. */
  readonly refusedByStore: Set<number>
  readonly refusals: Refusal[]
  lettersTaken: number
  readonly sends: Map<number, { readonly content: string; readonly identity: string | undefined; times: number }>
}

/** Tokens do not begin at 0, so that a sink which takes an index for a token is found out. */
const FIRST_TOKEN = 5000

/**
 * Keeps the books of a case: it plays the tracker, sees every request and every answer, and notes what no sink may do.
 */
export class Book implements Settlement {
  readonly inputs: Input[] = []
  /** Rules that were broken, with the place. */
  readonly violations: string[] = []
  readonly releasedSplits: Set<string> = new Set<string>()
  /** What becomes of a refusal. @default its letter is taken at once */
  decide: (refusal: Refusal) => Promise<boolean> = () => Promise.resolve(true)
  /** Records that may be refused although the store did not name them: where the answer itself was at fault. */
  mayRefuse: (record: SinkRecord) => boolean = () => false
  /** Values with one key must keep their order. */
  ordered = false
  closed = false
  readonly #abilities: SinkAbilities
  readonly #limits: SinkLimits
  readonly #byId = new Map<string, Input>()

  constructor(abilities: SinkAbilities, limits: SinkLimits) {
    this.#abilities = abilities
    this.#limits = limits
  }

  add(record: SinkRecord, splitId: string, byteLength: number): Input {
    const input: Input = {
      record,
      token: FIRST_TOKEN + this.inputs.length,
      splitId,
      byteLength,
      state: 'new',
      settled: 0,
      returned: 0,
      became: undefined,
      confirmed: new Set(),
      settleable: new Set(),
      refusedByStore: new Set(),
      refusals: [],
      lettersTaken: 0,
      sends: new Map(),
    }
    this.inputs.push(input)
    this.#byId.set(idOf(record), input)
    return input
  }

  input(entry: { readonly key: string; readonly sequence: number }): Input | undefined {
    return this.#byId.get(idOf(entry))
  }

  get accepted(): readonly Input[] {
    return this.inputs.filter(({ state }) => state === 'accepted')
  }

  /** Entries that the writer must have in hand. */
  get inHand(): number {
    let count = 0
    for (const input of this.inputs) if (input.state === 'accepted') count += leftOf(input)
    return count
  }

  became(token: number, entries: number): void {
    const input = this.#inputOf(token, 'became')
    if (input === undefined) return
    if (input.became !== undefined) this.#violation(`${nameOf(input)} became entries twice`)
    input.became = entries
    if (entries !== input.record.entries || input.record.conversionThrows) {
      this.#violation(`${nameOf(input)} became ${entries} entries instead of ${expectedOf(input)}`)
    }
  }

  settle(token: number): void {
    const input = this.#inputOf(token, 'settle')
    if (input === undefined) return
    input.settled++
    const allowed = input.settleable.size + input.lettersTaken
    if (leftOf(input) < 0) this.#violation(`${nameOf(input)} was settled more often than it has entries`)
    else if (input.settled > allowed) this.#violation(`${nameOf(input)} was settled before the store confirmed it`)
  }

  settleAll(tokens: Float64Array, count: number): void {
    for (let index = 0; index < count; index++) this.settle(tokens[index] ?? Number.NaN)
  }

  returned(token: number): void {
    const input = this.#inputOf(token, 'returned')
    if (input === undefined) return
    input.returned++
    if (!this.releasedSplits.has(input.splitId))
      this.#violation(`${nameOf(input)} was returned, its split is not released`)
    if (leftOf(input) < 0) this.#violation(`${nameOf(input)} was returned more often than it has entries`)
  }

  isReleased(token: number): boolean {
    const input = this.inputs[token - FIRST_TOKEN]
    return input !== undefined && this.releasedSplits.has(input.splitId)
  }

  isReplaySuspect(): boolean {
    return false
  }

  async refused(refusal: Refusal): Promise<boolean> {
    const input = this.#inputOf(refusal.token, 'refused')
    if (input === undefined) return false
    input.refusals.push(refusal)
    const { stage, reason } = refusal
    const isOwn =
      stage === 'convert' ? input.record.conversionThrows : input.refusedByStore.size >= input.refusals.length
    if (!isOwn && !this.mayRefuse(input.record)) {
      this.#violation(`${nameOf(input)} was refused at ${stage} (${reason?.code}), and is not at fault`)
    }
    if (!isText(reason?.code) || !isText(reason?.message))
      this.#violation(`${nameOf(input)} was refused without a reason`)
    const taken = await this.decide(refusal)
    if (taken) input.lettersTaken++
    return taken
  }

  /** A request arrived at the store. */
  onRequest(request: StoreRequest<SentEntry>, open: readonly StoreRequest<SentEntry>[]): void {
    const { maxBatchSize, maxInFlightRequests, requestTimeoutMs } = this.#limits
    const { entries, arrivedAt } = request
    const live = open.filter((other) => other.arrivedAt + requestTimeoutMs > arrivedAt)
    if (this.closed) this.#violation('a request was sent after close had ended')
    if (entries.length === 0) this.#violation('a request without entries was sent')
    if (entries.length > maxBatchSize)
      this.#violation(`a request has ${entries.length} entries, allowed are ${maxBatchSize}`)
    if (live.length > maxInFlightRequests) {
      this.#violation(`${live.length} requests are in flight, allowed are ${maxInFlightRequests}`)
    }
    const busy = new Set<string>()
    for (const other of live) if (other !== request) for (const entry of other.entries) busy.add(partOf(entry))
    for (const [index, entry] of entries.entries()) {
      if (busy.has(partOf(entry))) this.#violation(`${partOf(entry)} is in two requests at one time`)
      busy.add(partOf(entry))
      this.#onEntry(entry, request)
      if (this.ordered) this.#checkOrder(entry, entries.slice(0, index))
    }
  }

  /** The store answered, and the sink does not know yet. */
  onAnswer({ entries, answer, arrivedAt, answeredAt = 0 }: StoreRequest<SentEntry>): void {
    const isLate = answeredAt - arrivedAt >= this.#limits.requestTimeoutMs
    for (const [index, entry] of entries.entries()) {
      const input = this.input(entry)
      if (input === undefined || answer === undefined) continue
      const said = answer.kind === 'entries' ? answer.outcomes[index] : answer.kind
      if (said === 'stored') {
        input.settleable.add(entry.part)
        if (!isLate) input.confirmed.add(entry.part)
      }
      const named = answer.kind === 'entries' || entries.length === 1
      if (named && (said === 'refused' || said === 'conflict')) input.refusedByStore.add(entry.part)
    }
  }

  #onEntry(entry: SentEntry, request: StoreRequest<SentEntry>): void {
    const input = this.input(entry)
    if (input === undefined || input.state === 'new') {
      this.#violation(`${partOf(entry)} was sent, and was never taken`)
      return
    }
    const { record, sends } = input
    if (record.conversionThrows) this.#violation(`a part of ${nameOf(input)} was sent, and its conversion threw`)
    else if (entry.part >= record.entries)
      this.#violation(`${partOf(entry)} was sent, the value has ${record.entries} entries`)
    if (input.confirmed.has(entry.part))
      this.#violation(`${partOf(entry)} was sent again after the store had confirmed it`)
    if (this.releasedSplits.has(input.splitId))
      this.#violation(`${partOf(entry)} was sent after its split was released`)
    if (this.#abilities.destinations && request.destination !== record.destination) {
      this.#violation(`${partOf(entry)} went to '${request.destination}' instead of '${record.destination}'`)
    }
    if (this.#abilities.repeats !== 'duplicated' && !isText(entry.identity)) {
      this.#violation(`${partOf(entry)} has no identity`)
    }
    const sent = sends.get(entry.part)
    if (sent === undefined) {
      sends.set(entry.part, { content: entry.content, identity: entry.identity, times: 1 })
      return
    }
    sent.times++
    if (sent.content !== entry.content) this.#violation(`a repeat of ${partOf(entry)} has another content`)
    if (sent.identity !== entry.identity) this.#violation(`a repeat of ${partOf(entry)} has another identity`)
  }

  /** Whatever is before an entry, of its key, split and destination, has an outcome or lies before it in the same request. */
  #checkOrder(entry: SentEntry, before: readonly SentEntry[]): void {
    const input = this.input(entry)
    if (input === undefined) return
    const together = this.#abilities.entryRetries ? new Set<string>() : new Set(before.map(partOf))
    for (const earlier of this.inputs) {
      const isOther = earlier.record.key !== entry.key || earlier.record.destination !== input.record.destination
      if (isOther || earlier.splitId !== input.splitId) continue
      if (earlier.state === 'new' || earlier.record.conversionThrows || earlier.returned > 0) continue
      const parts = earlier === input ? entry.part : earlier.record.entries
      for (let part = 0; part < parts; part++) {
        const id = partOf({ ...earlier.record, part })
        if (earlier.settleable.has(part) || earlier.refusals.length > 0 || together.has(id)) continue
        this.#violation(`${partOf(entry)} overtook ${id}, which has no outcome`)
      }
      if (earlier === input) return
    }
  }

  #inputOf(token: number, call: string): Input | undefined {
    const input = this.inputs[token - FIRST_TOKEN]
    if (input === undefined || input.state === 'new') {
      this.#violation(`${call} was called for token ${token}, which belongs to no value that was taken`)
      return undefined
    }
    if (this.closed) this.#violation(`${call} was called for ${nameOf(input)} after close had ended`)
    return input
  }

  #violation(text: string): void {
    this.violations.push(text)
  }
}

/** Entries that the writer counts for the value: one that its conversion refuses is refused whole. */
export function expectedOf({ record }: Input): number {
  return record.conversionThrows ? 1 : record.entries
}

function leftOf(input: Input): number {
  return expectedOf(input) - input.settled - input.returned
}

export function nameOf({ record }: Input): string {
  return idOf(record)
}

function partOf({ key, sequence, part }: Pick<SentEntry, 'key' | 'sequence' | 'part'>): string {
  return `${key}/${sequence}.${part}`
}

function idOf({ key, sequence }: { readonly key: string; readonly sequence: number }): string {
  return `${key}/${sequence}`
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}
