/*
 * `positionAuthority: 'external'`, `acknowledgement: 'prefix'`, as a Kafka group. The service keeps one position a split;
 * a checkpoint only orders the commits and is stored nowhere. The host gives splits and takes them away; another owner
 * then goes on from the position that the service holds.
 *
 * The service refuses a commit of a member that is no longer in the group's generation. So a commit that is under way
 * when an attempt ends is done before the next one reads its positions, or never.
 */

/* ---- survives a kill: the service, and who owns a split ---- */
byte committed[SPLITS];
byte confirmed[SPLITS]; /* ghost: the newest position of which the committer knows that the service holds it */
bit owned[SPLITS];

/* ---- memory ---- */
byte fetched[SPLITS];
byte emitted[SPLITS];
byte positions[SPLITS];   /* of the open checkpoint */
bit in_checkpoint[SPLITS]; /* the split is ours since its barrier */
byte due[SPLITS];         /* position to be committed; 0 is none */
bit acknowledging;
hidden byte settled_to;
bit released[TOKENS];     /* the split was given back while the input was in hand */

#define RELEASED(input) released[input]
#define MAY_COMPLETE true
#define EXPECTED(record) (POSITION_OF(record) < committed[SPLIT_OF(record)])
#define FETCHABLE ((owned[0] && fetched[0] < LENGTH(0)) || (owned[1] && fetched[1] < LENGTH(1)))
#define FETCHED_NOT_EMITTED (fetched[0] > emitted[0] || fetched[1] > emitted[1])
#define READ(split) (!owned[split] || emitted[split] == LENGTH(split))
#define ALL_EMITTED (READ(0) && READ(1))
#ifdef DRAIN_CLOSES_READER
#define MAY_ACKNOWLEDGE (acknowledging && ALIVE && job != draining)
#define ACKNOWLEDGED (!acknowledging || job == draining)
#elif defined(ACKNOWLEDGEMENT_HANGS)
bit hangs;
#define MAY_ACKNOWLEDGE (acknowledging && ALIVE && !hangs)
#define ACKNOWLEDGED (!acknowledging)
#else
#define MAY_ACKNOWLEDGE (acknowledging && ALIVE)
#define ACKNOWLEDGED (!acknowledging)
#endif
#define MAY_START true
#define WINDOWS_OF_SHAPE acknowledging -> printf("world: kill -9, window during ack, or settled before ack\n")

/* What nobody looks at any more, so that states which differ in it alone are one. */
inline forget_input(input) {
  d_step {
    if
    :: count[input] == 0 -> record_of[input] = 0; released[input] = 0; returned[input] = 0
    :: else
    fi;
    skip
  }
}

inline check_covered(split, position) {
  check(nothing_is_acknowledged_early,
    (split == 0 && (position < 1 || KEPT(0)) && (position < 2 || KEPT(1))) || (split == 1 && (position < 1 || KEPT(2))))
}

inline snapshot() {
#ifdef SNAPSHOT_AT_FETCH
  positions[0] = fetched[0];
  positions[1] = fetched[1];
#else
  positions[0] = emitted[0];
  positions[1] = emitted[1];
#endif
  in_checkpoint[0] = owned[0];
  in_checkpoint[1] = owned[1]
}

inline forget_positions() {
  positions[0] = 0;
  positions[1] = 0;
  in_checkpoint[0] = 0;
  in_checkpoint[1] = 0
}

inline forget_reader() {
  fetched[0] = 0;
  fetched[1] = 0;
  emitted[0] = 0;
  emitted[1] = 0;
  due[0] = 0;
  due[1] = 0;
  acknowledging = 0;
  spot = 0;
  do
  :: spot < TOKENS -> released[spot] = 0; spot++
  :: else -> break
  od
}

inline stop_reading() {
  fetched[0] = emitted[0];
  fetched[1] = emitted[1]
}

/* A new member of the group gets all splits, and reads from what the service holds. */
inline restore() {
  owned[0] = 1;
  owned[1] = 1;
  assign(0);
  assign(1)
}

inline assign(split) {
  emitted[split] = committed[split];
  fetched[split] = committed[split];
  due[split] = 0
}

inline commit(split, position) {
  check(checkpoints_never_go_backwards, position >= committed[split]);
  check_covered(split, position);
  committed[split] = position;
  printf("service: split %d is committed up to %d\n", split, position)
}

inline commit_due() {
  if
  :: due[0] > 0 -> commit(0, due[0])
  :: else
  fi;
  if
  :: due[1] > 0 -> commit(1, due[1])
  :: else
  fi
}

/* All before the barrier are settled or returned: the splits that were ours all the time may be committed. */
inline all_settled() {
  printf("coordinator: completed, tokens below %d\n", barrier);
  due[0] = (in_checkpoint[0] -> positions[0] : due[0]);
  due[1] = (in_checkpoint[1] -> positions[1] : due[1]);
  acknowledging = (due[0] > 0 || due[1] > 0);
  acknowledge_again = 0;
  covered = barrier;
  forget_checkpoint()
}

/* A commit under way is done or not. */
inline end_acknowledging() {
  if
  :: acknowledging -> commit_due()
  :: true
  fi;
  acknowledging = 0
}

inline end_process() { skip }

/* settledPrefixes(): how far the split is settled without a gap. */
inline settled_prefix(split) {
  d_step {
    settled_to = emitted[split];
    spot = next;
    do
    :: spot > 0 ->
      spot--;
      if
      :: count[spot] > 0 && !released[spot] && SPLIT_OF(record_of[spot]) == split ->
        settled_to = POSITION_OF(record_of[spot])
      :: else
      fi
    :: else -> break
    od;
    skip
  }
}

inline release(split) {
  printf("service: split %d is taken away\n", split);
#ifdef COMMIT_EMITTED_ON_REVOKE
  settled_to = emitted[split];
#else
  settled_prefix(split);
#endif
  if
  :: commit(split, settled_to); confirmed[split] = settled_to /* revoked: what is settled is committed first */
  :: true /* lost: nothing can be committed any more */
  fi;
  d_step {
    owned[split] = 0;
    spot = 0;
    do
    :: spot < next ->
      released[spot] = released[spot] || (count[spot] > 0 && SPLIT_OF(record_of[spot]) == split);
      spot++
    :: else -> break
    od;
#ifndef ACKNOWLEDGE_RELEASED
    in_checkpoint[split] = 0;
#endif
#ifndef COMMIT_AFTER_RELEASE
    due[split] = 0;
#endif
    fetched[split] = 0;
    emitted[split] = 0
  };
  give_back_entries();
  acknowledging = acknowledging && (due[0] > 0 || due[1] > 0)
}

inline check_clean_end() {
#ifdef FAILED_ACKNOWLEDGEMENT_UNREPORTED
  acknowledge_again = 0;
#endif
  check(a_clean_end_leaves_nothing,
    acknowledge_again || ((!owned[0] || committed[0] == emitted[0]) && (!owned[1] || committed[1] == emitted[1])))
}

inline emit_from(split) {
  rec = RECORD(split, emitted[split]);
  check(repeats_are_bounded, emitted[split] >= confirmed[split]);
  emitted[split]++;
  emit(rec)
}

/* The reader, the service, and the host. */
proctype Service() {
end:
  do
  :: atomic {
      job == running && FETCHABLE ->
      printf("reader: fetched\n");
      fetched[0] = (owned[0] -> LENGTH(0) : 0);
      fetched[1] = (owned[1] -> LENGTH(1) : 0)
    }
  :: atomic { job == running && emitted[0] < fetched[0] && len(chunk) == 0 -> emit_from(0) }
  :: atomic { job == running && emitted[1] < fetched[1] && len(chunk) == 0 -> emit_from(1) }
  :: atomic { /* in the background, coalesced to the newest */
      MAY_ACKNOWLEDGE ->
      commit_due();
      confirmed[0] = (due[0] > 0 -> due[0] : confirmed[0]);
      confirmed[1] = (due[1] > 0 -> due[1] : confirmed[1]);
      acknowledging = 0;
      due[0] = (faults > 0 -> due[0] : 0); /* it can only come again as a fault */
      due[1] = (faults > 0 -> due[1] : 0)
    }
  :: atomic { /* it fails, committed or not: the next checkpoint repeats it */
      MAY_ACKNOWLEDGE && faults > 0 ->
      faults--;
      printf("service: a commit fails\n");
      acknowledge_again = 1;
      end_acknowledging()
    }
#ifdef ACKNOWLEDGEMENT_HANGS
  :: atomic { MAY_ACKNOWLEDGE && faults > 0 -> faults--; hangs = 1; printf("service: a commit never ends\n") }
#endif
  :: atomic { /* the notification comes again */
      !acknowledging && (due[0] > 0 || due[1] > 0) && ALIVE && faults > 0 ->
      faults--;
      printf("coordinator: acknowledges again\n");
      commit_due()
    }
  :: atomic { releases > 0 && owned[0] && ALIVE -> releases--; release(0) }
  :: atomic { job == running && !owned[0] -> owned[0] = 1; assign(0); printf("service: split 0 is given to us again\n") }
  :: atomic { /* another owner goes on with a split that is not ours */
      !owned[0] && committed[0] < LENGTH(0) && job != down ->
      lettered = lettered | MASK(RECORD(0, committed[0]));
      committed[0]++;
      confirmed[0] = committed[0];
      printf("another owner: has committed split 0 up to %d\n", committed[0])
    }
  od
}
