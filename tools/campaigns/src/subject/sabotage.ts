import { ALL_WRITTEN, type Batch, type SinkWriter, type SubmitContext, type SubmitOutcome } from '@sluice/core'

/** What a sabotage changes of a writer. */
interface Inside {
  submit(batch: Batch<unknown>, context: SubmitContext): Promise<SubmitOutcome>
  orderKey(entry: unknown): number
}

const DENIED: ReadonlySet<string> = new Set(['ExpiredTokenException', 'UnrecognizedClientException'])

/** Outcomes that a defect takes for written. */
const TAKEN_FOR_WRITTEN: Readonly<Record<string, (outcome: SubmitOutcome) => boolean>> = {
  'drop-requeued': (outcome) => 'retryAll' in outcome,
  'ignore-reject': (outcome) => 'isolate' in outcome || 'entries' in outcome,
  'settle-on-timeout': (outcome) => 'retryAll' in outcome && outcome.unknown === true,
  'drop-denied': (outcome) => 'retryAll' in outcome && DENIED.has(outcome.retryAll.code),
}

/**
 * The writer as it is, unless one of these defects is asked for:
 *
 * - `drop-requeued`: what is to be sent again counts as written.
 * - `ignore-reject`: what is refused counts as written.
 * - `settle-on-timeout`: what was not answered counts as written.
 * - `drop-denied`: what was refused because of expired credentials counts as written.
 * - `lose-order`: entries of one key may overtake each other.
 */
export function sabotaged<In>(writer: SinkWriter<In>, sabotage: string | undefined): SinkWriter<In> {
  if (sabotage === undefined) return writer
  const inside = writer as unknown as Inside
  const isTaken = TAKEN_FOR_WRITTEN[sabotage]
  if (isTaken !== undefined) {
    const submit = inside.submit.bind(writer)
    inside.submit = async (batch, attempt) => {
      const outcome = await submit(batch, attempt)
      return isTaken(outcome) ? ALL_WRITTEN : outcome
    }
  }
  if (sabotage === 'lose-order') {
    let entries = 0
    inside.orderKey = () => entries++
  }
  return writer
}
