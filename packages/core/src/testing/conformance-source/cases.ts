import { ACKNOWLEDGE_CASES } from './cases-acknowledge.ts'
import { ENDING_CASES } from './cases-ending.ts'
import { READING_CASES } from './cases-reading.ts'
import { RELEASE_CASES } from './cases-release.ts'
import { REPLAY_CASES } from './cases-replay.ts'
import type { SourceCase } from './source-case.ts'

/** Every case of the kit. */
export const SOURCE_CASES: readonly SourceCase[] = [
  ...REPLAY_CASES,
  ...ACKNOWLEDGE_CASES,
  ...RELEASE_CASES,
  ...READING_CASES,
  ...ENDING_CASES,
]
