import { messageOf, SluiceError } from '../errors.ts'
import type { Parcel } from './parcel.ts'
import { ALL_WRITTEN, type EntryOutcome, type Reason, type SubmitOutcome } from './spi.ts'

/** What the engine does with a request: a {@link SubmitOutcome} after its form was checked. */
export type Verdict =
  | { readonly kind: 'written' }
  | {
      readonly kind: 'entries'
      readonly entries: readonly EntryOutcome[]
      readonly slowDown: boolean
      readonly unknown: boolean
    }
  | {
      readonly kind: 'all'
      readonly reason: Reason
      readonly afterMs?: number
      readonly slowDown: boolean
      readonly unknown: boolean
    }
  /** `counted`: costs requests of the isolation budget. */
  | { readonly kind: 'halve'; readonly reason: Reason; readonly counted: boolean }
  | { readonly kind: 'fail'; readonly error: SluiceError }

const KINDS: ReadonlySet<string> = new Set([
  'written',
  'duplicate',
  'dropped',
  'retry',
  'refuse',
] satisfies EntryOutcome['kind'][])

const FORMS = ['allWritten', 'entries', 'retryAll', 'isolate', 'tooLarge', 'fail'] as const

/**
 * Total: whatever a sink returned becomes a verdict. Silence is not success: an outcome that has not the right form, says two
 * things, or has not one item for every entry, is isolated.
 */
export function judge(outcome: SubmitOutcome, entries: number): Verdict {
  if (outcome === ALL_WRITTEN) return { kind: 'written' }
  if (typeof outcome !== 'object' || outcome === null) return malformed('it is not an object')
  const [form, other] = FORMS.filter((name) => Reflect.get(outcome, name) !== undefined)
  if (other !== undefined) return malformed(`it has both ${form} and ${other}`)
  if (form === 'allWritten' && 'allWritten' in outcome) {
    const { allWritten }: { readonly allWritten: unknown } = outcome
    return allWritten === true ? { kind: 'written' } : malformed('allWritten is not true')
  }
  if (form === 'entries' && 'entries' in outcome) return judgeEach(outcome, entries)
  if (form === 'retryAll' && 'retryAll' in outcome) {
    const { retryAll, afterMs, slowDown = true, unknown = false } = outcome
    return { kind: 'all', reason: reasonOf(retryAll), slowDown, unknown, ...(afterMs === undefined ? {} : { afterMs }) }
  }
  if (form === 'isolate' && 'isolate' in outcome) {
    return { kind: 'halve', reason: reasonOf(outcome.isolate), counted: true }
  }
  if (form === 'tooLarge' && 'tooLarge' in outcome) {
    return { kind: 'halve', reason: reasonOf(outcome.tooLarge), counted: false }
  }
  if (form === 'fail' && 'fail' in outcome) {
    return { kind: 'fail', error: SluiceError.from(outcome.fail, 'SLUICE_SINK_FAILED', 'the sink failed') }
  }
  return malformed('it has none of the known fields')
}

function judgeEach(
  { entries: list, slowDown = false, unknown = false }: Extract<SubmitOutcome, { readonly entries: unknown }>,
  entries: number,
): Verdict {
  if (!Array.isArray(list) || list.length !== entries) {
    return malformed(`it has ${Array.isArray(list) ? list.length : 'no'} outcomes for ${entries} entries`)
  }
  const bad = list.findIndex(
    (item: EntryOutcome | undefined) => item === undefined || item === null || !KINDS.has(item.kind),
  )
  if (bad !== -1) return malformed(`the outcome of entry ${bad} has no known kind`)
  return { kind: 'entries', entries: list, slowDown, unknown }
}

/** A sink in plain JavaScript may leave the reason out or give something else: that must not cost an entry. */
export function reasonOf(given: Reason): Reason {
  const shaped = typeof given === 'object' && given !== null && typeof given.code === 'string'
  return shaped ? given : { code: 'unspecified', message: messageOf(given) }
}

function malformed(what: string): Verdict {
  const message = `the sink returned an outcome that says nothing about its entries: ${what}`
  return { kind: 'halve', reason: { code: 'outcomeMalformed', message }, counted: true }
}

/** The two halves of a refused request, in order, to be sent exactly as they are. */
export function halves<Entry>(parcel: Parcel<Entry>): readonly [Parcel<Entry>, Parcel<Entry>] {
  const first = parcel.emptyPart()
  const second = parcel.emptyPart()
  first.exact = true
  second.exact = true
  const middle = Math.ceil(parcel.length / 2)
  for (let index = 0; index < parcel.length; index++) (index < middle ? first : second).move(parcel, index)
  return [first, second]
}
