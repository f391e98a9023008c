/** What became of one entry of a request. */
export type EntryAnswer = 'stored' | 'busy' | 'refused' | 'conflict'

/**
 * What a store says to a request, in no protocol: a fake client, a fake server or {@link ScriptedSink} says it in that of its
 * sink.
 *
 * - `stored`: every entry was stored.
 * - `entries`: one answer for every entry, and not for all that it was stored; `short`: one too few.
 * - `throttled`: fewer requests, and none before `afterMs` have passed, if given.
 * - `unavailable`: nothing was stored, the same request may succeed later (5xx).
 * - `cut`: the connection ended without an answer; the request may have been applied.
 * - `refused`, `conflict`: nothing was stored because of an entry that the store does not name; a conflict is one whose place the
 *   store holds with another value.
 * - `tooLarge`: the request has too many entries.
 * - `denied`: the caller may not write.
 * - `meaningless`: an answer that neither confirms nor refuses anything.
 * - `threw`: the client throws what no client should, such as a TypeError.
 */
export type StoreAnswer =
  | { readonly kind: 'entries' | 'short'; readonly outcomes: readonly EntryAnswer[] }
  | { readonly kind: 'throttled'; readonly afterMs?: number }
  | {
      readonly kind:
        | 'stored'
        | 'unavailable'
        | 'cut'
        | 'refused'
        | 'conflict'
        | 'tooLarge'
        | 'denied'
        | 'meaningless'
        | 'threw'
    }

/**
 * What a test orders. Beside the answers of the same names:
 *
 * - `cutBeforeApply`, `cutAfterApply`: the connection is cut.
 * - `silentBeforeApply`, `silentAfterApply`: there is never an answer.
 * - `hold`: the request stays open until the test answers it.
 * - `throwsAtOnce`: {@link ScriptedStore.receive} itself throws.
 */
export type StoreCommand<E> =
  | 'stored'
  | 'throttled'
  | 'unavailable'
  | 'cutBeforeApply'
  | 'cutAfterApply'
  | 'silentBeforeApply'
  | 'silentAfterApply'
  | 'refused'
  | 'conflict'
  | 'tooLarge'
  | 'denied'
  | 'meaningless'
  | 'short'
  | 'threw'
  | 'throwsAtOnce'
  | 'hold'
  | { readonly throttledForMs: number }
  | { readonly entries: (entry: E, index: number) => EntryAnswer }

/** One line of the store's journal. */
export interface StoreRequest<E> {
  /** Counts from 0, in order of arrival. */
  readonly number: number
  readonly arrivedAt: number
  readonly entries: readonly E[]
  readonly destination: string
  /** What the store was told to do; undefined while it holds the request. */
  readonly command: StoreCommand<E> | undefined
  /** What the store said; undefined while it has said nothing. */
  readonly answer: StoreAnswer | undefined
  readonly answeredAt: number | undefined
  /** Entries of the request that the store has taken over, answered or not. */
  readonly applied: readonly E[]
}

export interface ScriptedStoreOptions<E> {
  /** Time of the journal, in milliseconds. @default the monotonic time of the process */
  readonly now?: () => number
  /**
   * Requests that are answered; later ones are held. A sink that repeats without a pause would otherwise keep the process from
   * everything else. @default no limit
   */
  readonly maxRequests?: number
  /** Told when a request arrives, before it is answered. */
  readonly onRequest?: (request: StoreRequest<E>) => void
  /** Told when a request is answered, before the sink sees the answer. */
  readonly onAnswer?: (request: StoreRequest<E>) => void
}

interface Line<E> {
  readonly number: number
  readonly arrivedAt: number
  readonly entries: readonly E[]
  readonly destination: string
  command: StoreCommand<E> | undefined
  answer: StoreAnswer | undefined
  answeredAt: number | undefined
  applied: readonly E[]
  readonly resolve: (answer: StoreAnswer) => void
}

/**
 * A store in memory that answers as a test commands, and keeps a journal: what arrived when, what it was told, and what it holds,
 * in order, repeats included. It knows entries only by identity, so that any sink can be put before it.
 *
 * For the next request counts, in this order: a command given with {@link ScriptedStore.next}, what `decide` says, `otherwise`.
 * Whatever would be stored is first compared with `tooLargeAbove` and the refused entries.
 *
 * @example
 * ```ts
 * const store = new ScriptedStore<string>()
 * store.next('cutAfterApply', { throttledForMs: 5000 })
 * store.refuse((entry) => entry === 'bad', 'whole')
 * ```
 */
export class ScriptedStore<E> {
  /** The journal, in order of arrival. */
  readonly requests: readonly StoreRequest<E>[]
  /** What was applied, in order, repeats included. */
  readonly held: E[] = []
  /** For requests without a command. @default 'stored' */
  otherwise: StoreCommand<E> = 'stored'
  /** Asked about each request without a command; undefined: `otherwise`. */
  decide: ((request: StoreRequest<E>) => StoreCommand<E> | undefined) | undefined
  /** Requests with more entries are too large. @default Infinity */
  tooLargeAbove: number = Number.POSITIVE_INFINITY
  readonly #journal: Line<E>[] = []
  readonly #commands: StoreCommand<E>[] = []
  readonly #options: ScriptedStoreOptions<E>
  #refuses:
    | { readonly answer: 'refused' | 'conflict'; readonly how: 'named' | 'whole'; of(entry: E): boolean }
    | undefined

  constructor(options: ScriptedStoreOptions<E> = {}) {
    this.#options = options
    this.requests = this.#journal
  }

  /** Requests that have no answer, in order of arrival. */
  get open(): readonly StoreRequest<E>[] {
    return this.#journal.filter(({ answer }) => answer === undefined)
  }

  /** Commands for the next requests, one each. */
  next(...commands: readonly StoreCommand<E>[]): void {
    this.#commands.push(...commands)
  }

  /**
   * From now on these entries are refused.
   *
   * @param how - `named`: the others of the request are stored, and the answer says which is which; `whole`: nothing of the
   * request is stored, and the answer does not say for which entry.
   * @param answer - why. @default 'refused'
   */
  refuse(of: (entry: E) => boolean, how: 'named' | 'whole', answer: 'refused' | 'conflict' = 'refused'): void {
    this.#refuses = { answer, how, of }
  }

  /** Answers a request that is held, or never was to be answered. */
  answer(request: StoreRequest<E>, command: StoreCommand<E> = 'stored'): void {
    const line = this.#journal[request.number]
    if (line !== request) throw new RangeError(`request ${request.number} is not one of this store`)
    if (line.answer !== undefined) throw new RangeError(`request ${request.number} has its answer: ${line.answer.kind}`)
    this.#act(line, command)
  }

  /** Answers every open request. */
  answerAll(command: StoreCommand<E> = 'stored'): void {
    for (const request of this.open) this.answer(request, command)
  }

  /**
   * A request arrived.
   *
   * @returns the answer; never, when the store keeps silent.
   * @throws TypeError at the command `throwsAtOnce`.
   */
  receive(entries: readonly E[], destination = ''): Promise<StoreAnswer> {
    const { promise, resolve } = Promise.withResolvers<StoreAnswer>()
    const now = this.#now()
    const number = this.#journal.length
    const line: Line<E> = {
      number,
      arrivedAt: now,
      entries: [...entries],
      destination,
      command: undefined,
      answer: undefined,
      answeredAt: undefined,
      applied: [],
      resolve,
    }
    this.#journal.push(line)
    this.#options.onRequest?.(line)
    const { maxRequests = Number.POSITIVE_INFINITY } = this.#options
    if (this.#journal.length > maxRequests) return promise
    const command = this.#commands.shift() ?? this.decide?.(line) ?? this.otherwise
    this.#act(line, command)
    if (command === 'throwsAtOnce') throw new TypeError('the store throws at once')
    return promise
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now()
  }

  #act(line: Line<E>, command: StoreCommand<E>): void {
    if (command === 'hold') return
    line.command = command
    if (command === 'cutAfterApply' || command === 'silentAfterApply') this.#apply(line, line.entries)
    if (command === 'silentBeforeApply' || command === 'silentAfterApply') return
    const answer = this.#answerTo(line, command)
    if (answer.kind === 'stored') this.#apply(line, line.entries)
    if (answer.kind === 'entries') {
      this.#apply(
        line,
        line.entries.filter((_, index) => answer.outcomes[index] === 'stored'),
      )
    }
    line.answer = answer
    line.answeredAt = this.#now()
    this.#options.onAnswer?.(line)
    line.resolve(answer)
  }

  #apply(line: Line<E>, entries: readonly E[]): void {
    // A silent request that is answered after all was applied once.
    if (line.applied.length > 0) return
    line.applied = entries
    this.held.push(...entries)
  }

  #answerTo({ entries }: Line<E>, command: Exclude<StoreCommand<E>, 'hold'>): StoreAnswer {
    if (typeof command === 'object') {
      if ('throttledForMs' in command) return { kind: 'throttled', afterMs: command.throttledForMs }
      const outcomes = entries.map((entry, index) => command.entries(entry, index))
      return outcomes.every((outcome) => outcome === 'stored') ? { kind: 'stored' } : { kind: 'entries', outcomes }
    }
    switch (command) {
      case 'stored':
        return this.#judge(entries)
      case 'cutBeforeApply':
      case 'cutAfterApply':
      case 'silentBeforeApply':
      case 'silentAfterApply':
        return { kind: 'cut' }
      case 'short':
        return { kind: 'short', outcomes: entries.slice(1).map(() => 'stored' as const) }
      case 'throwsAtOnce':
        return { kind: 'threw' }
      case 'throttled':
      case 'unavailable':
      case 'refused':
      case 'conflict':
      case 'tooLarge':
      case 'denied':
      case 'meaningless':
      case 'threw':
        break
    }
    return { kind: command }
  }

  #judge(entries: readonly E[]): StoreAnswer {
    if (entries.length > this.tooLargeAbove) return { kind: 'tooLarge' }
    const refuses = this.#refuses
    if (refuses === undefined || !entries.some((entry) => refuses.of(entry))) return { kind: 'stored' }
    if (refuses.how === 'whole') return { kind: refuses.answer }
    return { kind: 'entries', outcomes: entries.map((entry) => (refuses.of(entry) ? refuses.answer : 'stored')) }
  }
}
