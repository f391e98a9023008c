import { SluiceError } from '../errors.ts'
import type { Random } from '../runtime/backoff.ts'
import { delay } from '../runtime/clock.ts'
import { WakeUp } from '../runtime/signal.ts'
import { SPI_VERSION } from '../sink/spi.ts'
import { type Fetched, SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  ReaderContext,
  ReleaseHow,
  RestoredSource,
  Source,
  SourceReader,
  SplitEnumerator,
} from '../source/spi.ts'
import { logFetcher, MAX_BYTES_PER_RECORD, type MemoryEnumeratorState, memoryEnumerator } from './in-memory-source.ts'
import { type LogReading, MemoryLog, type MemorySplit, orAborted } from './memory-log.ts'

/**
 * What one fetch does.
 *
 * - `records`: answers with what there is, or waits for it; `empty`: answers without a record.
 * - `again`: the answer before once more; `undecodable`: the first record cannot be decoded.
 * - `fail`, `failFinal`: an error after which a restart may help, or not; `throw`: one that is no SluiceError.
 * - `positionLost`: the service has nothing at the split's position.
 * - `hang`: never answers, not even when it is aborted; `hold`: answers when told to, or when it is aborted.
 * - `late`: answers with records once it was aborted.
 * - `{ delayMs }`: answers with records after that time.
 */
export type FetchCommand =
  | 'records'
  | 'empty'
  | 'again'
  | 'undecodable'
  | 'fail'
  | 'failFinal'
  | 'throw'
  | 'positionLost'
  | 'hang'
  | 'hold'
  | 'late'
  | { readonly delayMs: number }

/**
 * What one commit does: `commit`, `reject`, which commits nothing, `commitAndReject`, `hang`, which never answers and commits nothing,
 * `hold`, which commits when told to unless it is aborted before, or `{ delayMs }`: commits after that time.
 */
export type CommitCommand = 'commit' | 'reject' | 'commitAndReject' | 'hang' | 'hold' | { readonly delayMs: number }

export interface ScriptedSourceOptions<T> {
  /** @default 'scripted' */
  readonly uid?: string
  /** Names of the splits. @default ['0'] */
  readonly splits?: readonly string[]
  /** The records, when several sources are to share them. @default a log of its own with these splits */
  readonly log?: MemoryLog<T>
  /** Where the first start begins. @default 'earliest' */
  readonly initialPosition?: 'earliest' | 'latest'
  /** With `external` the source commits what is acknowledged, and a start begins there. @default 'checkpoint' */
  readonly positionAuthority?: 'checkpoint' | 'external'
  /** Values in one fetched batch, at most. @default 10 */
  readonly maxBatchSize?: number
  /** @default no limit */
  readonly maxFetchedBytes?: number
  /** Raw bytes of a value, 100 at most. @default 100 */
  readonly byteLengthOf?: (value: T) => number
  /** Faults that come by chance, for fetches and commits without a command. @default none */
  readonly chaos?: {
    readonly random: Random
    /** Part of the fetches, and of the commits, that one of the faults hits; from 0 to 1. */
    readonly rate: number
    readonly fetches?: readonly FetchCommand[]
    readonly commits?: readonly CommitCommand[]
  }
}

/** Splits that were released and not given back are part of the state. */
export interface ScriptedEnumeratorState extends MemoryEnumeratorState {
  readonly released: readonly MemorySplit[]
}

/**
 * A source that misbehaves on command, or by seeded chance: in fetches, commits, its end, and in when splits come and go. It acknowledges
 * by prefix. Its records outlive jobs.
 *
 * @example
 * ```ts
 * const source = new ScriptedSource<number>({ splits: ['a'] })
 * source.log.push('a', [1, 2, 3])
 * source.next('empty', 'fail', 'again')
 * // ... run a job ...
 * const splits = await source.release(['a'], 'revoked', 1000)
 * source.assign(splits)
 * ```
 */
export class ScriptedSource<T> implements Source<T, MemorySplit, ScriptedEnumeratorState> {
  readonly spiVersion: number = SPI_VERSION
  readonly stateVersion: number = 1
  readonly acknowledgement = 'prefix' as const
  readonly assignment = 'enumerator' as const
  readonly positionAuthority: 'checkpoint' | 'external'
  readonly uid: string
  /** Where the records are: put them in, expire them, add and end splits here. */
  readonly log: MemoryLog<T>
  /** What fetches, and commits, do that nothing else is ordered for. */
  otherwise: FetchCommand = 'records'
  otherwiseCommit: CommitCommand = 'commit'
  /** What the close of a reader does. */
  closing: 'end' | 'hang' | 'throw' = 'end'
  /** What fetches did, in order. */
  readonly fetched: FetchCommand[] = []
  /** What commits did, in order. */
  readonly commits: { readonly command: CommitCommand; readonly splits: readonly MemorySplit[] }[] = []
  readonly #fetches: FetchCommand[] = []
  readonly #nextCommits: CommitCommand[] = []
  readonly #committed = new Map<string, MemorySplit>()
  readonly #released = new Map<string, MemorySplit>()
  readonly #answer = new WakeUp()
  readonly #options: ScriptedSourceOptions<T>
  readonly #reading: LogReading<T>
  #context: EnumeratorContext<MemorySplit> | undefined

  constructor(options: ScriptedSourceOptions<T> = {}) {
    this.uid = options.uid ?? 'scripted'
    this.positionAuthority = options.positionAuthority ?? 'checkpoint'
    this.log = options.log ?? new MemoryLog(`source '${this.uid}'`, options.splits ?? ['0'])
    this.#options = options
    this.#reading = {
      maxBatchSize: options.maxBatchSize ?? 10,
      onPositionLost: 'fail',
      byteLengthOf: options.byteLengthOf ?? (() => MAX_BYTES_PER_RECORD),
    }
  }

  /** Commands for the next fetches. */
  next(...commands: readonly FetchCommand[]): void {
    this.#fetches.push(...commands)
  }

  /** Commands for the next commits. */
  nextCommit(...commands: readonly CommitCommand[]): void {
    this.#nextCommits.push(...commands)
  }

  /** Every fetch and commit that is held goes on. */
  answerAll(): void {
    this.#answer.wake()
  }

  /** Where a split goes on, as was committed. */
  committed(splitId: string): number | undefined {
    return this.#committed.get(splitId)?.next
  }

  /** Takes splits from the job that runs. They are nobody's until they are assigned. */
  async release(splitIds: readonly string[], how: ReleaseHow, deadlineMs: number): Promise<readonly MemorySplit[]> {
    const released = (await this.#context?.release(splitIds, how, deadlineMs)) ?? []
    for (const split of released) this.#released.set(split.splitId, split)
    return released
  }

  /** Gives splits that were released to a reader of the job that runs. */
  assign(splits: readonly MemorySplit[], subtask = 0): void {
    for (const { splitId } of splits) this.#released.delete(splitId)
    this.#context?.assign(splits, subtask)
  }

  createEnumerator(
    context: EnumeratorContext<MemorySplit>,
    restored: RestoredSource<MemorySplit, ScriptedEnumeratorState> | undefined,
  ): SplitEnumerator<ScriptedEnumeratorState> {
    this.#context = context
    this.#released.clear()
    const at = this.#options.initialPosition ?? 'earliest'
    const from = this.positionAuthority === 'external' ? this.#begin(at) : withReleased(restored)
    const inner = memoryEnumerator(context, this.log, from, at, [])
    return {
      ...inner,
      snapshotState: (checkpointId) => ({
        ...inner.snapshotState(checkpointId),
        released: [...this.#released.values()],
      }),
    }
  }

  createReader(context: ReaderContext): SourceReader<T, MemorySplit> {
    return new ScriptedReader(context, this, this.#reading, this.#options.maxFetchedBytes ?? Number.MAX_SAFE_INTEGER)
  }

  /** One fetch, by its command. @internal */
  async fetch(
    fetch: (signal: AbortSignal) => Promise<Fetched<T, MemorySplit>>,
    splitId: string,
    before: Fetched<T, MemorySplit> | undefined,
    signal: AbortSignal,
    context: ReaderContext,
  ): Promise<Fetched<T, MemorySplit>> {
    const command = this.#fetches.shift() ?? this.#chance(this.#options.chaos?.fetches) ?? this.otherwise
    this.fetched.push(command)
    if (typeof command === 'object') {
      await delay(context.clock, command.delayMs, signal)
      return fetch(signal)
    }
    switch (command) {
      case 'records':
        return fetch(signal)
      case 'empty':
        return { delayMs: 1 }
      case 'again':
        return before ?? fetch(signal)
      case 'undecodable':
        return undecodable(await fetch(signal))
      case 'fail':
      case 'failFinal':
        throw new SluiceError('SLUICE_SOURCE_FAILED', 'the script says: fail', { restartable: command === 'fail' })
      case 'throw':
        throw new TypeError('the script says: throw')
      case 'positionLost':
        throw new SluiceError('SLUICE_POSITION_LOST', 'the script says: position lost', {
          facts: { split: splitId, wanted: 0, oldest: 1, newest: 1 },
        })
      case 'hang':
        return new Promise(() => {})
      case 'hold':
        await orAborted(this.#answer.wait(), signal)
        return fetch(signal)
      case 'late': {
        await orAborted(new Promise(() => {}), signal)
        return fetch(new AbortController().signal)
      }
      default:
        throw new RangeError(String(command satisfies never))
    }
  }

  /** One commit, by its command. @internal */
  async commit(splits: readonly MemorySplit[], context: ReaderContext, signal: AbortSignal): Promise<void> {
    if (this.positionAuthority === 'checkpoint') return
    const command = this.#nextCommits.shift() ?? this.#chance(this.#options.chaos?.commits) ?? this.otherwiseCommit
    this.commits.push({ command, splits })
    if (command === 'hang') await new Promise(() => {})
    if (typeof command === 'object') await delay(context.clock, command.delayMs, signal)
    if (command === 'hold') await orAborted(this.#answer.wait(), signal)
    signal.throwIfAborted()
    if (command !== 'reject') for (const split of splits) this.#committed.set(split.splitId, split)
    if (command === 'reject' || command === 'commitAndReject') throw new Error(`the script says: ${command}`)
  }

  /** What is committed; where a split begins is, before it is read. */
  #begin(at: 'earliest' | 'latest'): RestoredSource<MemorySplit, MemoryEnumeratorState> {
    for (const splitId of this.log.splitIds) {
      if (!this.#committed.has(splitId)) this.#committed.set(splitId, { splitId, next: this.log.position(splitId, at) })
    }
    const known = [...this.#committed.keys()]
    return { stateVersion: this.stateVersion, enumerator: { known }, splits: [...this.#committed.values()] }
  }

  #chance<Command>(commands: readonly Command[] | undefined): Command | undefined {
    const { chaos } = this.#options
    if (chaos === undefined || commands === undefined || chaos.random() >= chaos.rate) return undefined
    return commands[Math.floor(chaos.random() * commands.length)]
  }
}

class ScriptedReader<T> extends SourceReaderBase<T, MemorySplit> {
  readonly #source: ScriptedSource<T>
  readonly #reading: LogReading<T>

  constructor(context: ReaderContext, source: ScriptedSource<T>, reading: LogReading<T>, maxFetchedBytes: number) {
    super(context, { maxFetchedBytes, maxBytesPerFetch: reading.maxBatchSize * MAX_BYTES_PER_RECORD })
    this.#source = source
    this.#reading = reading
  }

  override async close(deadlineMs: number): Promise<void> {
    await super.close(deadlineMs)
    if (this.#source.closing === 'hang') await new Promise(() => {})
    if (this.#source.closing === 'throw') throw new TypeError('the script says: throw')
  }

  protected openSplit(split: MemorySplit): SplitFetcher<T, MemorySplit> {
    const inner = logFetcher(this.context, this.#source.log, split, this.#reading)
    const ask = (signal: AbortSignal): Promise<Fetched<T, MemorySplit>> => inner.fetch(signal)
    let before: Fetched<T, MemorySplit> | undefined
    return {
      fetch: async (signal) => {
        const fetched = await this.#source.fetch(ask, split.splitId, before, signal, this.context)
        before = fetched
        return fetched
      },
    }
  }

  protected describePosition(split: MemorySplit): string {
    return String(split.next)
  }

  protected override commit(splits: readonly MemorySplit[], signal: AbortSignal): Promise<void> {
    return this.#source.commit(splits, this.context, signal)
  }
}

function undecodable<T>(fetched: Fetched<T, MemorySplit>): Fetched<T, MemorySplit> {
  const { batch } = fetched
  if (batch === undefined || batch.values.length === 0) return fetched
  return { ...fetched, batch: { ...batch, decodeErrors: new Map([[0, new SyntaxError('not decodable')]]) } }
}

function withReleased(
  restored: RestoredSource<MemorySplit, ScriptedEnumeratorState> | undefined,
): RestoredSource<MemorySplit, MemoryEnumeratorState> | undefined {
  return restored && { ...restored, splits: [...restored.splits, ...restored.enumerator.released] }
}
