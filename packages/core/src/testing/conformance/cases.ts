import { ACCOUNTING_CASES } from './cases-accounting.ts'
import { ADMISSION_CASES } from './cases-admission.ts'
import { CLOSE_CASES } from './cases-close.ts'
import { DESTINATION_CASES } from './cases-destination.ts'
import { EXPLAIN_CASES } from './cases-explain.ts'
import { FLUSH_CASES } from './cases-flush.ts'
import { ORDER_CASES } from './cases-order.ts'
import { REFUSAL_CASES } from './cases-refusal.ts'
import { RELEASE_CASES } from './cases-release.ts'
import { RETRY_CASES } from './cases-retry.ts'
import { SILENCE_CASES } from './cases-silence.ts'
import type { SinkCase } from './sink-case.ts'

/** Every case of the kit. */
export const SINK_CASES: readonly SinkCase[] = [
  ...ACCOUNTING_CASES,
  ...ADMISSION_CASES,
  ...FLUSH_CASES,
  ...SILENCE_CASES,
  ...RETRY_CASES,
  ...REFUSAL_CASES,
  ...ORDER_CASES,
  ...DESTINATION_CASES,
  ...RELEASE_CASES,
  ...CLOSE_CASES,
  ...EXPLAIN_CASES,
]
