import { SluiceError } from '../errors.ts'
import type { Refusal } from '../sink/spi.ts'
import type { Origin } from '../tracker/tracker.ts'

/** The error of a job that has no dead letters: says which record, where it was refused and why, without its content. */
export function refusalError(sink: string | undefined, refusal: Refusal, origin: Origin | undefined): SluiceError {
  const { stage, reason, attempts } = refusal
  const where = origin === undefined ? 'unknown origin' : describe(origin)
  const at = sink === undefined ? `at ${stage}` : `by sink ${sink} at ${stage}`
  return new SluiceError(
    'SLUICE_RECORD_REFUSED',
    `a record was refused ${at} (${where}): ${reason.code}: ${reason.message}`,
    {
      ...(reason.cause === undefined ? {} : { cause: reason.cause }),
      facts: {
        stage,
        reasonCode: reason.code,
        attempts,
        ...(sink === undefined ? {} : { sink }),
        ...(reason.requestId === undefined ? {} : { requestId: reason.requestId }),
        ...(origin === undefined
          ? {}
          : { source: origin.source, split: origin.splitId, position: origin.raw?.position, key: origin.raw?.key }),
      },
    },
  )
}

function describe({ source, splitId, raw }: Origin): string {
  return `source ${source}, split ${splitId}${raw === undefined ? '' : `, position ${raw.position}`}`
}
