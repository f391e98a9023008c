import { messageOf } from '../errors.ts'
import { keyed, measured, named, recordTooLarge, refuseReturned } from './entry-rules.ts'
import type { ResolvedSinkOptions } from './options.ts'
import type { ExplainedEntry, Explanation, Reason } from './spi.ts'

/** What a sink does with a value before it sends anything: the functions of its writer, without a writer. */
export interface EntryRules<In, Entry> {
  /** As the writer's `convert`. */
  readonly convert: (value: In, emit: (entry: Entry) => void) => void
  /** As the writer's `sizeInBytes`. @default 0 bytes */
  readonly sizeInBytes?: (entry: Entry) => number
  /** As the writer's `weight`. @default 1 */
  readonly weight?: (entry: Entry) => number
  /** As the writer's `destination`. @default there is none */
  readonly destination?: (entry: Entry) => string
  /** As the writer's `orderKey`, for values without a key of `keyBy`. @default there is none */
  readonly orderKey?: (entry: Entry) => number
  /** The limits of one entry. */
  readonly limits?: Partial<Pick<ResolvedSinkOptions, 'maxRecordSizeInBytes'>>
  /**
   * What only the sink knows of an entry: the form in which it is sent, where to, what that costs, and why the sink or the store
   * would refuse it. Called for entries that the engine would take. @default the entry as it is
   */
  readonly send?: (entry: Entry) => Partial<Pick<ExplainedEntry, 'entry' | 'destination' | 'billed' | 'refusals'>>
}

/**
 * The explanation of a sink on `AsyncSinkWriter`: converts and measures the value as the engine would, with the same refusals, and
 * sends nothing. Never throws: what the sink's functions throw is a refusal.
 *
 * @example
 * ```ts
 * class HttpSink implements Sink<Point> {
 *   explain(value: Point): Explanation {
 *     return explainEntries({ convert: toLine, sizeInBytes: (line) => Buffer.byteLength(line), limits: this.#limits }, value)
 *   }
 * }
 * ```
 */
export function explainEntries<In, Entry>(rules: EntryRules<In, Entry>, value: In): Explanation {
  const entries: Entry[] = []
  try {
    refuseReturned(rules.convert(value, (entry) => void entries.push(entry)))
  } catch (error) {
    return { entries: [], refusal: threw(error) }
  }
  return { entries: entries.map((entry) => explainEntry(rules, entry)) }
}

function explainEntry<In, Entry>(rules: EntryRules<In, Entry>, entry: Entry): ExplainedEntry {
  let sizeInBytes = 0
  let weight = 1
  let destination: string | undefined
  const refusals: Reason[] = []
  try {
    if (rules.sizeInBytes !== undefined) sizeInBytes = measured('sizeInBytes', rules.sizeInBytes(entry))
    if (rules.weight !== undefined) weight = measured('weight', rules.weight(entry))
    if (rules.destination !== undefined) destination = named(rules.destination(entry))
    if (rules.orderKey !== undefined) keyed(rules.orderKey(entry))
    const { maxRecordSizeInBytes = Number.POSITIVE_INFINITY } = rules.limits ?? {}
    if (sizeInBytes > maxRecordSizeInBytes) refusals.push(recordTooLarge(sizeInBytes, maxRecordSizeInBytes))
  } catch (error) {
    refusals.push(threw(error))
  }
  const engines = { entry, sizeInBytes, weight, ...(destination === undefined ? {} : { destination }), refusals }
  if (refusals.length > 0 || rules.send === undefined) return engines
  try {
    return { ...engines, ...rules.send(entry) }
  } catch (error) {
    return { ...engines, refusals: [threw(error)] }
  }
}

function threw(error: unknown): Reason {
  return { code: 'convertThrew', message: messageOf(error), cause: error }
}
