/** One way to instantiate the model. */
interface Instance {
  readonly name: string
  /** What it looks for, in a few words. */
  readonly summary: string
  /** Macros, see the head of protocol.pml. */
  readonly defines: readonly string[]
}

/** A protocol that must hold. */
export interface Variant extends Instance {
  readonly shape: Shape
  /** `cycles` also finds runs that never end, at the price of looking at most states twice. */
  readonly search: 'states' | 'cycles'
  /** The search is shorter than a compilation that optimizes. */
  readonly short?: true
  /** Takes minutes and gigabytes; only on request. */
  readonly deep?: true
}

/** A protocol with one bug, which must be refuted. */
export interface Mutant extends Instance {
  /** The property that its first counter-example breaks. */
  readonly breaks: Property
}

export type Shape = 'CHECKPOINT' | 'PREFIX' | 'INDIVIDUAL'

export type Property =
  | 'nothing_is_acknowledged_early'
  | 'everything_is_kept'
  | 'checkpoints_never_go_backwards'
  | 'nothing_is_settled_twice'
  | 'late_callbacks_settle_nothing'
  | 'repeats_are_bounded'
  | 'one_checkpoint_is_open'
  | 'a_clean_end_leaves_nothing'
  | 'every_run_ends'

function variant(
  shape: Shape,
  name: string,
  search: Variant['search'],
  summary: string,
  budgets: readonly [endings: number, faults: number, releases: number],
  ...macros: readonly string[]
): Variant {
  const [endings, faults, releases] = budgets
  const defines = [shape, `ENDINGS=${endings}`, `FAULTS=${faults}`, `RELEASES=${releases}`, ...macros]
  return { shape, name, search, summary, defines }
}

/** Each shape with an ending and a fault together, with more of one kind, and for runs that do not end. */
export const VARIANTS: readonly Variant[] = [
  variant('CHECKPOINT', 'checkpoint', 'states', 'one ending, one fault', [1, 1, 0]),
  variant('CHECKPOINT', 'checkpoint-endings', 'states', 'two endings', [2, 0, 0]),
  {
    ...variant(
      'CHECKPOINT',
      'checkpoint-progress',
      'cycles',
      'batches are sent only when full or hastened',
      [0, 2, 0],
      'PATIENT',
    ),
    short: true,
  },
  variant('CHECKPOINT', 'checkpoint-release', 'states', 'one ending, a split taken away', [1, 0, 1], 'RELEASING'),
  variant('CHECKPOINT', 'checkpoint-release-fault', 'states', 'one fault, a split taken away', [0, 1, 1], 'RELEASING'),
  variant('PREFIX', 'prefix', 'states', 'one ending, one fault', [1, 1, 0]),
  variant('PREFIX', 'prefix-release', 'states', 'one ending, a split taken away', [1, 0, 1], 'PATIENT'),
  variant('PREFIX', 'prefix-release-fault', 'states', 'one fault, a split taken away', [0, 1, 1]),
  variant('PREFIX', 'prefix-progress', 'cycles', 'batches are sent only when full or hastened', [0, 1, 1], 'PATIENT'),
  variant('INDIVIDUAL', 'individual', 'states', 'one ending, one fault, a message given back', [1, 1, 1]),
  {
    ...variant('INDIVIDUAL', 'individual-endings', 'states', 'two endings, a message given back', [2, 0, 1]),
    short: true,
  },
  {
    ...variant(
      'INDIVIDUAL',
      'individual-progress',
      'cycles',
      'batches are sent only when full or hastened',
      [1, 0, 1],
      'PATIENT',
    ),
    short: true,
  },
  { ...variant('CHECKPOINT', 'checkpoint-deep', 'states', 'two endings, one fault', [2, 1, 0]), deep: true },
  { ...variant('PREFIX', 'prefix-deep', 'states', 'one ending, one fault, a split taken away', [1, 1, 1]), deep: true },
  {
    ...variant('INDIVIDUAL', 'individual-deep', 'states', 'two endings, two faults, a message given back', [2, 2, 1]),
    deep: true,
  },
]

const CHECKPOINT = ['CHECKPOINT', 'ENDINGS=1', 'FAULTS=1', 'RELEASES=0'] as const
const CHECKPOINT_RELEASE = ['CHECKPOINT', 'ENDINGS=0', 'FAULTS=1', 'RELEASES=1', 'RELEASING'] as const
const PREFIX = ['PREFIX', 'ENDINGS=1', 'FAULTS=1', 'RELEASES=1'] as const
/** Without endings the search is short enough for a compilation that does not optimize. */
const RELEASE = ['PREFIX', 'ENDINGS=0', 'FAULTS=1', 'RELEASES=1'] as const
const INDIVIDUAL = ['INDIVIDUAL', 'ENDINGS=1', 'FAULTS=1', 'RELEASES=1'] as const

function mutant(
  name: string,
  breaks: Property,
  summary: string,
  base: readonly string[],
  ...macros: readonly string[]
): Mutant {
  return { name, breaks, summary, defines: [...base, ...macros] }
}

/** Bugs that the protocol must not have, and the property that each breaks. */
export const MUTANTS: readonly Mutant[] = [
  mutant(
    'ack-early',
    'nothing_is_acknowledged_early',
    'tokens are settled at submit',
    CHECKPOINT,
    'ACK_EARLY',
    'UNNOTICED',
  ),
  mutant(
    'ack-early-prefix',
    'nothing_is_acknowledged_early',
    'the same before a commit',
    PREFIX,
    'ACK_EARLY',
    'UNNOTICED',
  ),
  mutant(
    'ack-early-individual',
    'nothing_is_acknowledged_early',
    'the same before a deletion',
    INDIVIDUAL,
    'ACK_EARLY',
    'UNNOTICED',
  ),
  mutant('skip-flush', 'nothing_is_acknowledged_early', 'a checkpoint waits for nothing', CHECKPOINT, 'SKIP_FLUSH'),
  mutant(
    'acknowledge-across-gap',
    'nothing_is_acknowledged_early',
    'it waits for the last token only',
    CHECKPOINT,
    'ACKNOWLEDGE_ACROSS_GAP',
  ),
  mutant(
    'no-give-up',
    'nothing_is_acknowledged_early',
    'an open checkpoint goes on while inputs that it covers are given back',
    CHECKPOINT_RELEASE,
    'NO_GIVE_UP',
  ),
  mutant(
    'checkpoint-during-release',
    'nothing_is_acknowledged_early',
    'one begins before the position of a released split is known',
    CHECKPOINT_RELEASE,
    'CHECKPOINT_DURING_RELEASE',
  ),
  mutant(
    'returned-is-passed',
    'nothing_is_acknowledged_early',
    'a released split goes on behind what was returned',
    CHECKPOINT_RELEASE,
    'RETURNED_IS_PASSED',
  ),
  mutant(
    'snapshot-at-fetch',
    'nothing_is_acknowledged_early',
    'positions move when records are fetched',
    CHECKPOINT,
    'SNAPSHOT_AT_FETCH',
  ),
  mutant(
    'settle-on-timeout',
    'nothing_is_acknowledged_early',
    'an unanswered request counts as written',
    CHECKPOINT,
    'SETTLE_ON_TIMEOUT',
  ),
  mutant(
    'ignore-reject',
    'nothing_is_acknowledged_early',
    'a refused entry counts as written',
    CHECKPOINT,
    'IGNORE_REJECT',
  ),
  mutant(
    'settle-before-letter',
    'nothing_is_acknowledged_early',
    'a refused entry is settled before its letter is stored',
    CHECKPOINT,
    'SETTLE_BEFORE_LETTER',
  ),
  mutant(
    'settle-at-first-entry',
    'nothing_is_acknowledged_early',
    'an input is settled with its first entry',
    CHECKPOINT,
    'SETTLE_AT_FIRST_ENTRY',
  ),
  mutant('drop-requeued', 'every_run_ends', 'entries to be repeated are lost', CHECKPOINT, 'DROP_REQUEUED'),
  mutant(
    'no-late-hasten',
    'every_run_ends',
    'only what is in the sink at the barrier is hastened',
    CHECKPOINT,
    'PATIENT',
    'NO_LATE_HASTEN',
  ),
  mutant(
    'late-answer-settles',
    'nothing_is_settled_twice',
    'a request that was given up is answered and settles',
    CHECKPOINT,
    'LATE_ANSWER_SETTLES',
  ),
  mutant(
    'late-answer-unnoticed',
    'nothing_is_acknowledged_early',
    'the same, and the tracker does not count',
    CHECKPOINT,
    'LATE_ANSWER_SETTLES',
    'UNNOTICED',
  ),
  mutant(
    'late-callback-settles',
    'late_callbacks_settle_nothing',
    'one tracker for all attempts',
    CHECKPOINT,
    'LATE_CALLBACK_SETTLES',
  ),
  mutant(
    'late-callback-unnoticed',
    'nothing_is_acknowledged_early',
    'what the same leads to',
    CHECKPOINT,
    'LATE_CALLBACK_SETTLES',
    'UNNOTICED',
  ),
  mutant(
    'two-checkpoints',
    'one_checkpoint_is_open',
    'the final checkpoint does not wait for the open one',
    CHECKPOINT,
    'TWO_CHECKPOINTS',
  ),
  mutant(
    'overlapping-stores',
    'checkpoints_never_go_backwards',
    'the next checkpoint does not wait for the store',
    CHECKPOINT,
    'OVERLAPPING_STORES',
  ),
  mutant(
    'restart-overtakes-store',
    'checkpoints_never_go_backwards',
    'the next attempt does not wait for the store',
    CHECKPOINT,
    'RESTART_OVERTAKES_STORE',
  ),
  mutant(
    'complete-before-stored',
    'repeats_are_bounded',
    'a checkpoint is completed when its store begins',
    CHECKPOINT,
    'COMPLETE_BEFORE_STORED',
  ),
  mutant(
    'torn-file-used',
    'nothing_is_acknowledged_early',
    'a checkpoint that was cut off is restored',
    CHECKPOINT,
    'TORN_FILE_USED',
  ),
  mutant(
    'read-before-start-stored',
    'nothing_is_acknowledged_early',
    'LATEST is read before it is stored',
    CHECKPOINT,
    'READ_BEFORE_START_STORED',
  ),
  mutant(
    'acknowledge-released',
    'nothing_is_acknowledged_early',
    'a split that was taken away stays in the open checkpoint',
    PREFIX,
    'ACKNOWLEDGE_RELEASED',
  ),
  mutant(
    'commit-emitted-on-revoke',
    'nothing_is_acknowledged_early',
    'what was emitted is committed when a split is taken away',
    PREFIX,
    'COMMIT_EMITTED_ON_REVOKE',
  ),
  mutant(
    'commit-after-release',
    'checkpoints_never_go_backwards',
    'a split that was taken away is committed',
    RELEASE,
    'COMMIT_AFTER_RELEASE',
  ),
  mutant(
    'snapshot-at-fetch-prefix',
    'nothing_is_acknowledged_early',
    'positions move when records are fetched',
    PREFIX,
    'SNAPSHOT_AT_FETCH',
  ),
  mutant(
    'failed-ack-unreported',
    'a_clean_end_leaves_nothing',
    'the last acknowledgement fails, and the end looks clean',
    PREFIX,
    'FAILED_ACKNOWLEDGEMENT_UNREPORTED',
  ),
  mutant(
    'suppress-in-hand',
    'nothing_is_acknowledged_early',
    'the repeat of a message in hand is deleted',
    INDIVIDUAL,
    'SUPPRESS_IN_HAND',
  ),
  mutant(
    'returned-is-settled',
    'nothing_is_acknowledged_early',
    'a message that was given back is deleted',
    INDIVIDUAL,
    'RETURNED_IS_SETTLED',
  ),
  mutant(
    'returned-stays-in-window',
    'a_clean_end_leaves_nothing',
    'a message that was given back is suppressed',
    INDIVIDUAL,
    'RETURNED_STAYS_IN_WINDOW',
  ),
  mutant(
    'drain-closes-reader',
    'a_clean_end_leaves_nothing',
    'a drain ends the reader before the final acknowledgement',
    INDIVIDUAL,
    'DRAIN_CLOSES_READER',
  ),
  mutant(
    'ack-without-deadline',
    'every_run_ends',
    'an acknowledgement that hangs is waited for',
    PREFIX,
    'ACKNOWLEDGEMENT_HANGS',
  ),
]
