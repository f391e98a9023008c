import { POSITION_MUTANTS } from './mutants-positions.ts'
import { READING_MUTANTS } from './mutants-reading.ts'
import type { Mutant } from './spoil.ts'

export const MUTANTS: readonly Mutant[] = [...POSITION_MUTANTS, ...READING_MUTANTS]
