import type { SinkAbilities, SinkStage } from '../../../src/testing/conformance/subject.ts'
import { BOOK_MUTANTS } from './mutants-books.ts'
import { ENDING_MUTANTS } from './mutants-endings.ts'
import { OUTCOME_MUTANTS } from './mutants-outcomes.ts'
import { REPEAT_MUTANTS } from './mutants-repeats.ts'
import { PlainSink } from './plain-sink.ts'
import { PlainWriter } from './plain-writer.ts'

/** A writer, or sink, with one fault, and the case that must find it. */
export interface Mutant {
  readonly fault: string
  readonly caughtBy: string
  /** No other case may fail for it. */
  readonly alone?: true
  readonly writer?: typeof PlainWriter
  readonly sink?: typeof PlainSink
  /** @default all that a sink can have */
  readonly abilities?: SinkAbilities
}

export const MUTANTS: readonly Mutant[] = [...OUTCOME_MUTANTS, ...REPEAT_MUTANTS, ...BOOK_MUTANTS, ...ENDING_MUTANTS]

export function sinkOf({ sink = PlainSink, writer = PlainWriter }: Mutant): (stage: SinkStage) => PlainSink {
  return (stage) => new sink(stage, writer)
}
