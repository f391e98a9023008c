import { kindOf, SluiceError } from '../errors.ts'
import type { Refusal } from '../sink/spi.ts'
import type { Origin } from '../tracker/run.ts'

/**
 * The error of a job that has no dead letters, or no way to make one: says which record, where it was refused and why, without
 * its content. What decode, an operator or a converter threw is the cause.
 *
 * @param note - why there is no letter although there are dead letters.
 */
export function refusalError(
  sink: string | undefined,
  refusal: Refusal,
  origin: Origin | undefined,
  note?: string,
): SluiceError {
  const { stage, reason, attempts } = refusal
  const where = origin === undefined ? 'unknown origin' : describe(origin)
  // What a converter threw may quote the record, as JSON.parse does; its words are the cause's.
  const message = stage === 'convert' && reason.cause !== undefined ? kindOf(reason.cause) : reason.message
  const at = sink === undefined ? `at ${stage}` : `by sink ${sink} at ${stage}`
  const why = `a record was refused ${at} (${where}): ${reason.code}: ${message}`
  return new SluiceError('SLUICE_RECORD_REFUSED', note === undefined ? why : `${why}; ${note}`, {
    ...(reason.cause === undefined ? {} : { cause: reason.cause }),
    facts: {
      stage,
      reasonCode: reason.code,
      attempts,
      ...(sink === undefined ? {} : { sink }),
      ...(reason.requestId === undefined ? {} : { requestId: reason.requestId }),
      ...(origin === undefined ? {} : { source: origin.source, split: origin.splitId, position: origin.raw?.position }),
    },
  })
}

function describe({ source, splitId, raw }: Origin): string {
  return `source ${source}, split ${splitId}${raw === undefined ? '' : `, position ${raw.position}`}`
}
