import { type JobStatus, SluiceError } from '@sluice/core'
import type { PrometheusTimeSeries } from './model.ts'

/** What is used of a {@link RemoteWriteClient}. */
export interface SeriesClient {
  write(series: readonly PrometheusTimeSeries[]): Promise<void> | undefined
  flush(): Promise<void>
  close(): Promise<void>
  status(): Pick<JobStatus, 'attempt' | 'sinks'>
}

/**
 * Writes the series and waits until the receiver has confirmed them.
 *
 * A flush also ends when what was taken is dropped or dead-lettered, so the counts of both are compared. What another user of the same
 * client loses meanwhile is told too: better one failure too many than one too few.
 *
 * @throws SluiceError `SLUICE_SINK_FAILED` when something was lost, and what ended the client.
 */
export async function writeConfirmed(client: SeriesClient, series: readonly PrometheusTimeSeries[]): Promise<void> {
  const before = client.status()
  await client.write(series)
  await client.flush()
  const after = client.status()
  // The counts of a new attempt begin at 0, and it repeats what was not settled.
  const lost = lostIn(after) - (after.attempt === before.attempt ? lostIn(before) : 0)
  if (lost <= 0) return
  throw new SluiceError(
    'SLUICE_SINK_FAILED',
    `${lost} of ${series.length} series were not written: they were dropped or dead-lettered, and the log of the client says why`,
    { facts: { lost, series: series.length } },
  )
}

function lostIn({ sinks }: Pick<JobStatus, 'sinks'>): number {
  return Object.values(sinks).reduce((sum, { dropped, deadLettered }) => sum + dropped + deadLettered, 0)
}
