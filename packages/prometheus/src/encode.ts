import { WriteRequestEncoder } from './encode-v1.ts'
import { RequestV2Encoder } from './encode-v2.ts'
import type { WireProtocol } from './options.ts'
import type { Entry } from './series.ts'
import type { SeriesRules } from './series-layout.ts'

/** Makes the bodies of requests, before compression. */
export interface RemoteWriteEncoder {
  readonly protocol: WireProtocol
  /**
   * An entry of the last request. A full collection that finds none throws away what V8 knows of entries, and with it nearly all code
   * that was compiled for them.
   */
  readonly kept: Entry | undefined
  /**
   * The body for these entries: those of one series together, in the order of time.
   *
   * @returns bytes that the next call overwrites.
   */
  encode(entries: readonly Entry[]): Uint8Array
}

/**
 * An encoder with buffers of its own, used again for each request. Entries are put in the order of time unless validation is off.
 *
 * See https://prometheus.io/docs/specs/prw/remote_write_spec/ and https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
 *
 * @param protocol - need not be that of the rules: see `Series.fits`.
 */
export function createEncoder(
  protocol: WireProtocol,
  { validation }: Pick<SeriesRules, 'validation'>,
): RemoteWriteEncoder {
  const sorts = validation !== 'off'
  return protocol === '1.0' ? new WriteRequestEncoder(sorts) : new RequestV2Encoder(sorts)
}
