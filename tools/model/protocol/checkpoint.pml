/*
 * `positionAuthority: 'checkpoint'`, as polled Kinesis. The stored snapshot is the only truth about positions. To be
 * covered by a stored checkpoint is to be acknowledged: nothing below its positions is ever read again.
 */

/* ---- survives a kill ---- */
byte durable[SPLITS];   /* positions of the newest checkpoint in the storage */
bit torn;               /* beside it lies a file that was being written at the kill */
byte completed[SPLITS]; /* ghost: positions of the newest checkpoint that a process took for completed */
bit started;            /* the storage holds a checkpoint */
bit tip;                /* where LATEST was in split 0 when it was asked last */
byte first_read = 255;  /* ghost: where split 0 was first read from */

/* ---- memory: source-reader-base.ts ---- */
byte fetched[SPLITS];
byte emitted[SPLITS];
byte positions[SPLITS]; /* of the open checkpoint */
/* Under way: one at most, if coordinator and Attempt.#end do what they should. */
chan stores = [2] of { byte, byte, byte };

#ifdef RELEASING
bit leaving;             /* split 0 is stopped and given back: its position is not yet the enumerator's */
byte first_back = 255;   /* where the first of its inputs lies that were returned */
bit released[TOKENS];    /* the split was given back while the input was in hand */
#define RELEASED(input) released[input]
#define IS_LEAVING leaving
#else
#define IS_LEAVING false
#endif
#ifdef CHECKPOINT_DURING_RELEASE
#define HELD false
#else
#define HELD IS_LEAVING
#endif

#define EXPECTED(record) ((record) > 0 || first_read == 0)
#define FETCHABLE ((!IS_LEAVING && fetched[0] < LENGTH(0)) || fetched[1] < LENGTH(1))
#define FETCHED_NOT_EMITTED (fetched[0] > emitted[0] || fetched[1] > emitted[1])
#define ALL_EMITTED (emitted[0] == LENGTH(0) && emitted[1] == LENGTH(1))
#define MAY_COMPLETE (len(stores) < 2)
#define ACKNOWLEDGED (len(stores) == 0)
#ifdef RESTART_OVERTAKES_STORE
#define MAY_START true
#else
#define MAY_START (open != storing)
#endif
#define WINDOWS_OF_SHAPE \
  open == storing -> printf("world: kill -9, window during the store\n") \
  :: covered > 0 && covered == next -> printf("world: kill -9, window stored before acknowledged\n")

inline check_covered(first, second) {
  check(nothing_is_acknowledged_early,
    (first < 1 || KEPT(0) || !EXPECTED(0)) && (first < 2 || KEPT(1)) && (second < 1 || KEPT(2)))
}

inline snapshot() {
#ifdef SNAPSHOT_AT_FETCH
  positions[0] = fetched[0];
  positions[1] = fetched[1]
#else
  positions[0] = emitted[0];
  positions[1] = emitted[1]
#endif
}

#ifdef RELEASING
inline forget_input(input) {
  d_step {
    if
    :: count[input] == 0 -> record_of[input] = 0; released[input] = 0; returned[input] = 0
    :: else
    fi;
    skip
  }
}

inline note_returned(input) {
#ifndef RETURNED_IS_PASSED
  if
  :: leaving && POSITION_OF(record_of[input]) < first_back -> first_back = POSITION_OF(record_of[input])
  :: else
  fi
#else
  skip
#endif
}

/* Nothing more of split 0 is emitted; what is not in flight goes back. An open checkpoint would cover it. */
inline begin_release() {
  printf("release: begins\n");
  leaving = 1;
  fetched[0] = emitted[0];
  d_step {
    todo = 0;
    spot = 0;
    do
    :: spot < next ->
      released[spot] = (count[spot] > 0 && SPLIT_OF(record_of[spot]) == 0);
      todo = (released[spot] -> 1 : todo);
      spot++
    :: else -> break
    od;
#ifndef NO_GIVE_UP
    if
    :: open == settling && todo == 1 ->
      printf("coordinator: the checkpoint is given up\n");
      forget_checkpoint();
      final_taken = 0
    :: else
    fi;
#endif
    skip
  };
  give_back_entries()
}

/* All of it has ended, or the deadline passed: it goes on before its first input that is in hand or was returned. */
inline end_release() {
  d_step {
    spot = 0;
    do
    :: spot < next ->
      if
      :: count[spot] > 0 && released[spot] && POSITION_OF(record_of[spot]) < first_back ->
        first_back = POSITION_OF(record_of[spot])
      :: else
      fi;
      spot++
    :: else -> break
    od;
    emitted[0] = (first_back < emitted[0] -> first_back : emitted[0]);
    fetched[0] = emitted[0];
    first_back = 255;
    leaving = 0
  };
  printf("release: split 0 goes on at %d\n", emitted[0])
}
#else
inline forget_input(input) { skip }
#endif

inline forget_positions() {
  positions[0] = 0;
  positions[1] = 0
}

inline forget_reader() {
  fetched[0] = 0;
  fetched[1] = 0;
  emitted[0] = 0;
  emitted[1] = 0;
#ifdef RELEASING
  leaving = 0;
  first_back = 255;
  spot = 0;
  do
  :: spot < TOKENS -> released[spot] = 0; spot++
  :: else -> break
  od;
#endif
  skip
}

/* What was fetched and not emitted is let go. */
inline stop_reading() {
  fetched[0] = emitted[0];
  fetched[1] = emitted[1]
}

inline restore() {
#ifdef TORN_FILE_USED
  /* A format without length and checksum: the split that is cut off looks like one that was read to its end. */
  if
  :: torn -> durable[1] = LENGTH(1)
  :: else
  fi;
#endif
  torn = 0; /* a damaged file is passed over */
  check_covered(durable[0], durable[1]);
  check(repeats_are_bounded, durable[0] >= completed[0] && durable[1] >= completed[1]);
  emitted[0] = durable[0];
  emitted[1] = durable[1];
  if
  :: !started -> /* the first start: LATEST of split 0, the oldest of split 1. It is stored before the first read. */
    if
    :: tip = 1 /* record 0 came since it was asked last */
    :: true
    fi;
    emitted[0] = tip;
#ifndef READ_BEFORE_START_STORED
    job = beginning;
    take()
#endif
  :: else
  fi;
  fetched[0] = emitted[0];
  fetched[1] = emitted[1]
}

inline complete(first, second, below) {
  completed[0] = first;
  completed[1] = second;
  covered = below;
  printf("coordinator: completed, tokens below %d\n", below)
}

/* All before the barrier are settled: the snapshot is stored. */
inline all_settled() {
  stores ! positions[0], positions[1], barrier;
  open = storing;
#ifdef COMPLETE_BEFORE_STORED
  complete(positions[0], positions[1], barrier);
#endif
#ifdef OVERLAPPING_STORES
  forget_checkpoint();
#endif
  printf("coordinator: all are settled, the store begins\n")
}

inline put(first, second) {
  check(checkpoints_never_go_backwards, first >= durable[0] && second >= durable[1]);
  check_covered(first, second);
  durable[0] = first;
  durable[1] = second;
  started = 1;
  printf("storage: holds positions %d and %d\n", first, second)
}

inline end_acknowledging() { skip }

inline end_process() {
  do
  :: len(stores) > 0 ->
    stores ? which, rec, nth;
    if
    :: put(which, rec)
    :: torn = 1
    :: true
    fi
  :: len(stores) == 0 -> break
  od
}

inline check_clean_end() {
  check(a_clean_end_leaves_nothing, durable[0] == emitted[0] && durable[1] == emitted[1] && watermark == next)
}

inline emit_from(split) {
  rec = RECORD(split, emitted[split]);
  check(repeats_are_bounded, emitted[split] >= completed[split]);
  first_read = (split == 0 && first_read == 255 -> emitted[0] : first_read);
  emitted[split]++;
  emit(rec)
}

/* The reader, and the storage. */
proctype Service() {
end:
  do
  :: atomic {
      job == running && FETCHABLE ->
      fetched[0] = (IS_LEAVING -> emitted[0] : LENGTH(0));
      fetched[1] = LENGTH(1);
      printf("reader: fetched\n")
    }
  :: atomic { job == running && emitted[0] < fetched[0] && len(chunk) == 0 -> emit_from(0) }
  :: atomic { job == running && emitted[1] < fetched[1] && len(chunk) == 0 -> emit_from(1) }
  :: atomic { /* a store ends. The storage is the weakest that there may be: it holds what was put last. */
      len(stores) > 0 ->
      stores ? which, rec, nth;
#if defined(OVERLAPPING_STORES) || defined(RESTART_OVERTAKES_STORE)
      if
      :: len(stores) > 0 -> stores ! which, rec, nth; stores ? which, rec, nth
      :: true
      fi;
#endif
      put(which, rec);
      if
      :: ALIVE && open == storing -> complete(which, rec, nth)
      :: else
      fi;
      if
      :: open == storing -> forget_checkpoint()
      :: else
      fi
    }
  :: atomic { /* a store fails, having stored or not: the attempt ends */
      len(stores) > 0 && endings > 0 && ALIVE ->
      endings--;
      printf("storage: fails\n");
      stores ? which, rec, _;
      if
      :: put(which, rec)
      :: true
      fi;
      forget_checkpoint();
      fail_attempt()
    }
#ifdef RELEASING
  :: atomic { releases > 0 && !leaving && (job == running || job == draining) -> releases--; begin_release() }
  :: atomic { leaving && ALIVE -> end_release() }
#endif
  od
}
