import { OptionsCheck } from '../../options.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { AsyncSinkOptions } from '../../sink/options.ts'
import type { Sink } from '../../sink/spi.ts'
import type { ScriptedStore } from '../scripted-store.ts'

/**
 * What a sink and its store can do. Every ability is declared; nothing else excuses a case of the kit, and a case that is skipped
 * for one is named in the kit's last line.
 */
export interface SinkAbilities {
  /** Whether an answer of the store may say different things of the entries of one request. */
  readonly answers: 'entry' | 'request'
  /** As the sink's `repeats`. Entries of a sink that does not duplicate need an identity: see {@link SentEntry.identity}. */
  readonly repeats: 'idempotent' | 'versioned' | 'duplicated'
  /** `keyed`: keeps the order of entries whose values have keys; `own`: also of entries with a key that the sink finds itself. */
  readonly orderKey: 'none' | 'keyed' | 'own'
  /** Entries go to several destinations, each with its own requests. */
  readonly destinations: boolean
  /** Single entries of a request may be answered as busy, to be sent again. Needs answers per entry. */
  readonly entryRetries: boolean
  /** The store names the entries that it refuses, and stores the others. Needs answers per entry. */
  readonly namedRefusals: boolean
  /** The store refuses a whole request for an entry that it does not name. */
  readonly wholeRefusals: boolean
  /** The store tells an entry whose place it holds with another value. Needs one of the refusals. */
  readonly conflicts: boolean
  /** The store may say that a request is too large. */
  readonly tooLarge: boolean
  /** `slowsDown`: a throttled store gets fewer requests at a time; `retryAfter`: it also says for how long it wants none. */
  readonly throttling: 'none' | 'slowsDown' | 'retryAfter'
  /** The sink tells faults of the caller, such as a missing right, from those of a record. */
  readonly callerFaults: boolean
  /** A value can be refused by its conversion. */
  readonly conversionRefusals: boolean
  /** A value may become none or several entries. */
  readonly fanOut: boolean
  /** The sink has `explain`. */
  readonly explain: boolean
}

/** The closed list: each ability with its values. */
const SINK_ABILITIES: { readonly [Name in keyof SinkAbilities]: readonly SinkAbilities[Name][] } = {
  answers: ['entry', 'request'],
  repeats: ['idempotent', 'versioned', 'duplicated'],
  orderKey: ['none', 'keyed', 'own'],
  destinations: [true, false],
  entryRetries: [true, false],
  namedRefusals: [true, false],
  wholeRefusals: [true, false],
  conflicts: [true, false],
  tooLarge: [true, false],
  throttling: ['none', 'slowsDown', 'retryAfter'],
  callerFaults: [true, false],
  conversionRefusals: [true, false],
  fanOut: [true, false],
  explain: [true, false],
}

/** Describes the value that the kit wants. */
export interface SinkRecord {
  /** Order key. Unless a case is about order, each record has its own. */
  readonly key: string
  /** Rises from record to record; with the key it identifies the record. */
  readonly sequence: number
  /** Entries that the value must become: 1, or, with the ability `fanOut`, any number. */
  readonly entries: number
  /** Where the entries must go; '' unless the sink has destinations. */
  readonly destination: string
  /** The conversion must throw, after it has emitted the entries; only with the ability `conversionRefusals`. */
  readonly conversionThrows: boolean
}

/** An entry as the store saw it: decoded from what was sent, never remembered by the subject. */
export interface SentEntry {
  readonly key: string
  readonly sequence: number
  /** Index of the entry among those of its value, from 0. */
  readonly part: number
  /** All that was sent of the entry, in a form that differs when a byte of it does. */
  readonly content: string
  /**
   * What the store recognises a repeat by: a version, a deduplication id, the coordinates of a point. Required unless repeats are
   * `duplicated`.
   */
  readonly identity?: string
}

/** The limits that the sink must be made with; the kit checks that it keeps to them. */
export type SinkLimits = Readonly<
  Required<
    Pick<
      AsyncSinkOptions,
      | 'maxBatchSize'
      | 'maxInFlightRequests'
      | 'maxBufferedRequests'
      | 'maxTimeInBufferMS'
      | 'maxBufferedBytes'
      | 'maxIsolationRequests'
      | 'requestTimeoutMs'
    >
  >
> & { readonly retry: { readonly initialDelayMs: number; readonly maxDelayMs: number; readonly maxAttempts: number } }

/** What one case gives to the subject to make its sink with. */
export interface SinkStage {
  /** What the sink's client must ask, through a fake of the protocol, with decoded requests. */
  readonly store: ScriptedStore<SentEntry>
  readonly limits: SinkLimits
  readonly clock: Clock
  /** Runs when the case has ended: for what the fake opened. */
  readonly defer: (end: () => void | Promise<void>) => void
}

/**
 * A sink under test, and how to speak with it.
 *
 * `create` makes the sink with the strictest policy that it has (what is refused is a refusal, nothing is dropped) and puts a
 * fake of its service before `stage.store`: it decodes each request, hands its entries to `receive`, and says the answer in the
 * service's own protocol. It translates every kind of answer that its abilities admit, and `stored`, `unavailable`, `cut`,
 * `meaningless` and `threw` in any case.
 */
export interface SinkSubject<In> {
  readonly name: string
  readonly abilities: SinkAbilities
  /** For a sink whose `requestTimeoutMs` cannot be set: what it is, in milliseconds. @default that of the limits */
  readonly requestTimeoutMs?: number
  valueFor(record: SinkRecord): In
  create(stage: SinkStage): Sink<In> | Promise<Sink<In>>
  /** Decodes an entry of `explain`, as those of a request. Required with the ability `explain`. */
  decodeExplained?(entry: unknown): SentEntry
}

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function checkSubject(subject: SinkSubject<unknown>): void {
  const names = Object.keys(SINK_ABILITIES) as (keyof SinkAbilities)[]
  const check = new OptionsCheck('describeSink', subject, Object.keys(subject))
  check.string('name', { required: true })
  check.integer('requestTimeoutMs')
  check.function('valueFor', true)
  check.function('create', true)
  check.function('decodeExplained')
  const abilities = new OptionsCheck('describeSink', subject.abilities, names, 'abilities.')
  for (const problem of abilities.problems) check.problem(problem)
  const given: Partial<SinkAbilities> = subject.abilities ?? {}
  for (const name of names) {
    const allowed: readonly unknown[] = SINK_ABILITIES[name]
    if (allowed.includes(given[name])) continue
    const list = allowed.map((value) => JSON.stringify(value)).join(', ')
    check.problem(`abilities.${name} must be one of ${list}, got ${JSON.stringify(given[name]) ?? 'undefined'}`)
  }
  const perEntry = given.entryRetries === true || given.namedRefusals === true
  if (perEntry !== (given.answers === 'entry')) {
    check.problem("abilities.answers must be 'entry' if, and only if, entryRetries or namedRefusals is true")
  }
  if (given.conflicts === true && given.namedRefusals !== true && given.wholeRefusals !== true) {
    check.problem('abilities.conflicts needs namedRefusals or wholeRefusals')
  }
  if (given.explain === true && subject.decodeExplained === undefined) {
    check.problem('abilities.explain needs decodeExplained')
  }
  check.throwIfAny()
}
