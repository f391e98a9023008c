import type { SubmitOutcome } from '../../src/index.ts'
import { SluiceError } from '../../src/index.ts'
import { Harness, reason, type Request, type Value } from './harness.ts'

export type Kind = 'written' | 'duplicate' | 'dropped' | 'retry' | 'retryLater' | 'refuse'

export type Answer =
  | { readonly form: 'written' | 'isolate' | 'tooLarge' | 'garbage' | 'short' | 'throw' | 'fail' }
  | { readonly form: 'entries'; readonly kinds: readonly Kind[] }
  | { readonly form: 'retryAll'; readonly afterMs?: number; readonly slowDown?: boolean; readonly unknown?: boolean }

export type Event =
  | { readonly do: 'write'; readonly values: readonly Omit<Value, 'name'>[] }
  | { readonly do: 'hasten' }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'answer'; readonly which: number; readonly answer: Answer }
  | { readonly do: 'letter'; readonly which: number; readonly taken: boolean }
  | { readonly do: 'close'; readonly deadlineMs: number }

export interface Limits {
  readonly maxBatchSize: number
  readonly maxInFlightRequests: number
  readonly maxBufferedRequests: number
  readonly maxBatchWeight: number
  readonly maxBatchSizeInBytes: number
  readonly maxBufferedBytes: number
  readonly maxIsolationRequests: number
  readonly maxAttempts: number
}

const REQUEST_TIMEOUT_MS = 2000
const MAX_RECORD_BYTES = 35

type Final = 'written' | 'duplicate' | 'dropped' | 'deadLettered'

interface Known {
  readonly token: number
  readonly charge: number
}

/** Knows from the outside alone what must be in hand, and compares it with the engine after every event. */
export class AccountingModel {
  readonly harness: Harness
  /** What was seen in this run: for the coverage of pairs. */
  readonly seen = new Set<string>()
  readonly #limits: Limits
  /** Entries without an outcome. */
  readonly #inHand = new Map<string, Known>()
  readonly #finals: Record<Final, number> = { written: 0, duplicate: 0, dropped: 0, deadLettered: 0 }
  readonly #sizes = new Map<string, number>()
  readonly #open: Request[] = []
  readonly #letters: { readonly name: string; readonly resolve: (taken: boolean) => void }[] = []
  #accepted = 0
  #late = 0
  #sequence = 0
  #settlements = 0
  #failed = false
  #closing = false
  #closed = false

  constructor(limits: Limits, random: () => number) {
    this.#limits = limits
    const { maxAttempts, ...rest } = limits
    this.harness = new Harness(
      {
        ...rest,
        maxRecordSizeInBytes: MAX_RECORD_BYTES,
        maxTimeInBufferMS: 500,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        retry: { initialDelayMs: 50, maxDelayMs: 1000, maxAttempts },
      },
      random,
    )
    this.harness.settlement.decide = (refusal) => {
      const name = (refusal.entry as { name: string } | undefined)?.name ?? this.#nameOf(refusal.token)
      this.seen.add(refusal.reason.code)
      check(refusal.attempts <= maxAttempts, `${refusal.attempts} tries, ${maxAttempts} are allowed`)
      return new Promise((resolve) => {
        this.#letters.push({ name, resolve })
      })
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  get failed(): boolean {
    return this.#failed
  }

  get inHand(): number {
    return this.#inHand.size
  }

  async apply(event: Event): Promise<void> {
    switch (event.do) {
      case 'write':
        this.#write(event.values.map((value) => ({ ...value, name: `v${this.#sequence++}` })))
        break
      case 'hasten':
        this.seen.add('hasten')
        this.harness.writer.hasten()
        break
      case 'advance':
        await this.harness.clock.advance(event.ms)
        break
      case 'answer':
        await this.#answer(event.which, event.answer)
        break
      case 'letter':
        await this.#letter(event.which, event.taken)
        break
      case 'close':
        this.seen.add('close')
        if (this.#closing && !this.#closed) this.seen.add('closeAgain')
        this.#closing = true
        void this.harness.writer.close(event.deadlineMs).then(() => (this.#closed = true))
    }
    await this.harness.clock.flush()
    this.#look()
  }

  /** Every open request is stored, every letter taken, until nothing is left. */
  async drain(): Promise<void> {
    for (let round = 0; round < 500 && this.#inHand.size > 0; round++) {
      await this.apply({ do: 'hasten' })
      for (let count = this.#letters.length; count > 0; count--)
        await this.apply({ do: 'letter', which: 0, taken: true })
      while (this.#open.length > 0) await this.apply({ do: 'answer', which: 0, answer: { form: 'written' } })
      await this.apply({ do: 'advance', ms: 5000 })
    }
    check(
      this.#inHand.size === 0,
      `${this.#inHand.size} entries never end: ${this.harness.writer.status().oldest?.reason}`,
    )
    // The timer of an age that has become pointless may still run out.
    await this.apply({ do: 'advance', ms: 5000 })
    check(this.harness.clock.pendingTimers === 0, 'a timer is left although nothing is in hand')
    check(this.harness.settlement.unsettled === 0, 'an input is unsettled although nothing is in hand')
  }

  async close(): Promise<void> {
    await this.apply({ do: 'close', deadlineMs: 3000 })
    await this.apply({ do: 'advance', ms: 3000 })
    check(this.#closed, 'close did not end at its deadline')
    const settlements = this.harness.settlement.settled.length
    for (let count = this.#letters.length; count > 0; count--) await this.apply({ do: 'letter', which: 0, taken: true })
    while (this.#open.length > 0) await this.apply({ do: 'answer', which: 0, answer: { form: 'written' } })
    await this.apply({ do: 'advance', ms: 100_000 })
    check(this.harness.settlement.settled.length === settlements, 'an input was settled after close had ended')
  }

  #write(values: readonly Value[]): void {
    const { writer, settlement } = this.harness
    const before = writer.status()
    const first = settlement.references.length
    // Before the call, since conversion may refuse at once.
    for (const [index, value] of values.entries()) this.#expect(value, first + index)
    const taken = this.harness.offer(...values)
    for (const [index, value] of values.entries()) {
      if (index >= taken) this.#forget(value)
      else this.#accepted += entriesOf(value).length
    }
    if (taken < values.length) this.seen.add(this.#closing ? 'writeAfterClose' : 'full')
    const { maxBufferedRequests, maxBufferedBytes } = this.#limits
    const full = before.bufferedRecords >= maxBufferedRequests || before.bufferedBytes >= maxBufferedBytes
    check(!full || taken === 0, `${taken} values were admitted above the limit`)
    check(!this.#closing || taken === 0, `${taken} values were admitted after close`)
    check(full || this.#closing || taken > 0, 'no value was admitted although there is room')
  }

  async #answer(which: number, answer: Answer): Promise<void> {
    const [request] = this.#open.splice(which % Math.max(1, this.#open.length), 1)
    if (request === undefined) return
    const isLate = this.#closed || this.#timedOut(request)
    this.seen.add(isLate ? 'late' : answer.form)
    if (isLate) this.#late++
    else if (answer.form === 'written') for (const name of request.names) this.#end(name, 'written')
    else if (answer.form === 'entries') {
      for (const [index, name] of request.names.entries()) {
        const kind = kindAt(answer.kinds, index)
        this.seen.add(kind)
        if (kind === 'written' || kind === 'duplicate' || kind === 'dropped') this.#end(name, kind)
      }
    } else if (answer.form === 'fail' && !this.#closing) this.#failed = true
    if (answer.form === 'throw') await request.reject(new Error('thrown'))
    else await request.answer(outcomeOf(answer, request.names.length))
  }

  async #letter(which: number, taken: boolean): Promise<void> {
    const [letter] = this.#letters.splice(which % Math.max(1, this.#letters.length), 1)
    if (letter === undefined) return
    this.seen.add(this.#closed ? 'lateLetter' : taken ? 'letterTaken' : 'letterRefused')
    if (taken && !this.#closed) this.#end(letter.name, 'deadLettered')
    letter.resolve(taken)
    await this.harness.clock.flush()
  }

  #look(): void {
    this.#takeRequests()
    const { writer, settlement, clock, failures } = this.harness
    const status = writer.status()
    check(
      this.harness.imbalance() === 0,
      `the identity is broken by ${this.harness.imbalance()}: ${JSON.stringify(status)}`,
    )
    check(status.accepted === this.#accepted, `accepted is ${status.accepted}, not ${this.#accepted}`)
    for (const [outcome, count] of Object.entries(this.#finals)) {
      const shown = status[outcome as Final]
      check(shown === count, `${outcome} is ${shown}, not ${count}`)
    }
    const left = status.inHand + status.abandoned
    check(left === this.#inHand.size, `${left} entries are in hand or abandoned, not ${this.#inHand.size}`)
    check(this.#closing || status.abandoned === 0, 'an entry was abandoned before close')
    check(
      this.#closed || this.#closing || status.bufferedBytes === this.#bytes(),
      `${status.bufferedBytes} bytes in hand, not ${this.#bytes()}`,
    )
    this.#checkTokens()
    this.#checkBounds()
    check(settlement.violations.length === 0, settlement.violations.join())
    check(this.harness.metric('numLateAnswers') === this.#late, 'late answers are counted wrongly')
    check(failures.length > 0 === this.#failed, `the attempt failed: ${failures.map(String).join()}`)
    if (!this.#closed) return
    check(status.inHand === 0, `${status.inHand} entries are in hand after close`)
    check(clock.pendingTimers === 0, `${clock.pendingTimers} timers are left after close`)
    check(status.bufferedBytes === 0, `${status.bufferedBytes} bytes are held after close`)
  }

  #takeRequests(): void {
    const { maxBatchSize, maxBatchWeight, maxBatchSizeInBytes, maxAttempts } = this.#limits
    for (const request of this.harness.sent()) {
      check(!this.#closing, 'a request was sent after close')
      this.#open.push(request)
      this.seen.add(`sent:${request.trigger}`)
      const several = request.names.length > 1
      check(request.names.length <= maxBatchSize, `a batch of ${request.names.length}`)
      check(!several || request.weight <= maxBatchWeight, `a batch of weight ${request.weight}`)
      const bytes = request.names.reduce((total, name) => total + (this.#sizes.get(name) ?? 0), 0)
      check(!several || bytes <= maxBatchSizeInBytes, `a batch of ${bytes} bytes`)
      check(request.attempt <= maxAttempts, `attempt ${request.attempt}`)
    }
    const live = this.#open.filter((request) => !this.#timedOut(request))
    for (const request of this.#open) if (this.#timedOut(request)) this.seen.add('timeout')
    const inFlight = live.flatMap((request) => request.names)
    check(new Set(inFlight).size === inFlight.length, 'one entry is in two requests at a time')
    for (const name of inFlight) check(this.#inHand.has(name), `${name} was sent although it had its outcome`)
    const { inFlightRequests, inFlightRecords } = this.harness.writer.status()
    if (this.#closed) return
    check(inFlightRequests === live.length, `${inFlightRequests} requests in flight, not ${live.length}`)
    check(inFlightRecords === inFlight.length, `${inFlightRecords} entries in flight, not ${inFlight.length}`)
    check(live.length <= this.#limits.maxInFlightRequests, `${live.length} requests in flight`)
  }

  /** Exactly what is in hand holds its token: a token settled early or late differs. */
  #checkTokens(): void {
    const held = new Map<number, number>()
    for (const { token } of this.#inHand.values()) held.set(token, (held.get(token) ?? 0) + 1)
    for (const [token, count] of this.harness.settlement.references.entries()) {
      check(
        count === (held.get(token) ?? 0),
        `token ${token} has ${count} references and ${held.get(token) ?? 0} entries`,
      )
    }
  }

  #checkBounds(): void {
    const { maxBufferedRequests, maxInFlightRequests, maxBatchSize, maxBufferedBytes } = this.#limits
    const { inHand, bufferedBytes } = this.harness.writer.status()
    // The value that was admitted last may have become 3 entries.
    const entries = maxBufferedRequests + maxInFlightRequests * maxBatchSize + 2
    check(inHand <= entries, `${inHand} entries in hand, ${entries} are allowed`)
    const bytes = maxBufferedBytes - 1 + LARGEST_VALUE_BYTES
    check(bufferedBytes <= bytes, `${bufferedBytes} bytes in hand, ${bytes} are allowed`)
  }

  #bytes(): number {
    let bytes = 0
    for (const { charge } of this.#inHand.values()) bytes += charge
    return bytes
  }

  #timedOut(request: Request): boolean {
    return this.harness.clock.now() - request.sentAt >= REQUEST_TIMEOUT_MS
  }

  #expect(value: Value, token: number): void {
    if (value.throws !== undefined) this.seen.add('throws')
    else if (value.parts !== 1) this.seen.add(value.parts === 0 ? 'none' : 'many')
    const { rawBytes = 0, size = 0 } = value
    const list = entriesOf(value)
    for (const name of list) {
      const charge = value.throws === undefined ? Math.ceil(rawBytes / list.length) + size : rawBytes
      this.#inHand.set(name, { token, charge })
      this.#sizes.set(name, size)
    }
  }

  #forget(value: Value): void {
    for (const name of entriesOf(value)) this.#inHand.delete(name)
  }

  #nameOf(token: number): string {
    const found = [...this.#inHand].find(([, known]) => known.token === token)
    check(found !== undefined, `token ${token} was refused although nothing of it is in hand`)
    return found?.[0] ?? ''
  }

  #end(name: string, outcome: Final): void {
    check(this.#inHand.delete(name), `${name} got a second outcome`)
    this.#finals[outcome]++
    this.#settlements++
    check(this.harness.settlement.settled.length < this.#settlements, `${name} was settled before its outcome`)
  }
}

const LARGEST_VALUE_BYTES = 33 + 3 * 40
function entriesOf({ name, parts = 1, throws }: Value): readonly string[] {
  if (throws !== undefined || parts === 1) return [name]
  return Array.from({ length: parts }, (_, part) => `${name}.${part}`)
}

function kindAt(kinds: readonly Kind[], index: number): Kind {
  return kinds[index % kinds.length] ?? 'written'
}

function outcomeOf(answer: Answer, count: number): SubmitOutcome {
  switch (answer.form) {
    case 'written':
      return { allWritten: true }
    case 'isolate':
      return { isolate: reason('bad') }
    case 'tooLarge':
      return { tooLarge: reason('413') }
    case 'fail':
      return { fail: new SluiceError('SLUICE_ACCESS_DENIED', 'denied') }
    case 'short':
      return { entries: Array.from({ length: count - 1 }, () => ({ kind: 'written' })) }
    case 'entries':
      return {
        entries: Array.from({ length: count }, (_, index) => {
          const kind = kindAt(answer.kinds, index)
          if (kind === 'written' || kind === 'duplicate') return { kind }
          if (kind === 'retryLater') return { kind: 'retry', reason: reason('busy'), afterMs: 700 }
          return { kind, reason: reason(kind) }
        }),
      }
    case 'retryAll': {
      const { form: _, ...rest } = answer
      return { retryAll: reason('busy'), ...rest }
    }
    case 'garbage':
    case 'throw':
      break
  }
  return {} as SubmitOutcome
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}
