import { SluiceError } from '@sluice/core'

import type { ResolvedOptions } from './options.ts'
import type { KinesisEnumeratorState, ShardPartition } from './split.ts'

/**
 * A checkpoint is of one stream and one part of its shards.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` if the options name others, `SLUICE_POSITION_LOST` if the stream was deleted and
 * created again.
 */
export function checkSameStream(
  uid: string,
  { streamName, shards }: Pick<ResolvedOptions<unknown>, 'streamName' | 'shards'>,
  state: KinesisEnumeratorState,
  createdMs: number | undefined,
): void {
  const problem = (what: string): never => {
    throw new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `${uid}: the checkpoint is of ${what}; restore those options, or give the source another uid`,
    )
  }
  if (state.streamName !== streamName) problem(`stream ${state.streamName}, and the options name ${streamName}`)
  const [was, is] = [partInWords(state.shards), partInWords(shards)]
  if (was !== is) problem(`shards ${was}, and the options say ${is}`)
  if (state.streamCreatedMs === undefined || createdMs === undefined || state.streamCreatedMs === createdMs) return
  throw new SluiceError(
    'SLUICE_POSITION_LOST',
    `stream ${streamName} was created at ${new Date(createdMs).toISOString()}, and the checkpoint is of a stream of that ` +
      `name created at ${new Date(state.streamCreatedMs).toISOString()}; to read the new stream, move the job's checkpoints away or start under another job name`,
    { facts: { stream: streamName, wanted: state.streamCreatedMs, oldest: createdMs, newest: createdMs } },
  )
}

function partInWords(part: ShardPartition | undefined): string {
  return part === undefined ? 'all' : `{ index: ${part.index}, count: ${part.count} }`
}
