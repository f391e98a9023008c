import type { Entry } from './series.ts'
import { labelList } from './time-series.ts'

const LEGACY_LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/**
 * Whether remote write 1.0 can say an entry that was checked by the rules of 2.0, which allows names in any Unicode. Start timestamps
 * are left out in 1.0; nothing is wrong without them.
 *
 * See https://prometheus.io/docs/specs/prw/remote_write_spec/ (labels)
 */
export function fitsV1({ series, parts }: Entry): boolean {
  if (!series.fits('1.0')) return false
  if (parts === undefined || parts.exemplars.length === 0) return true
  return parts.exemplars.every(({ labels }) => labelList(labels).every(({ name }) => LEGACY_LABEL_NAME.test(name)))
}
