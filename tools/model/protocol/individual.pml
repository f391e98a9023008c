/*
 * `positionAuthority: 'external'`, `acknowledgement: 'individual'`, as SQS. The service keeps every message until it is
 * deleted; one that was received is hidden for a while, and comes again when its lease expired or when it was given back.
 */
#define ALL (BIT(RECORDS) - 1)

/* ---- survives a kill: the service, one bit a message ---- */
byte deleted;
byte visible = ALL;

/* ---- memory: the reader's window ---- */
byte fetched; /* received, not yet emitted */
byte held;    /* received and not covered by a completed checkpoint: a repeat only brings a newer handle */
byte due;     /* covered, to be deleted; a repeat is deleted too */
bit acknowledging;

#define MAY_COMPLETE true
#define EXPECTED(record) (deleted & BIT(record))
#define FETCHED_NOT_EMITTED (fetched > 0)
#define ALL_EMITTED (fetched == 0 && (visible & (ALL - deleted)) == 0)
#ifdef DRAIN_CLOSES_READER
#define MAY_ACKNOWLEDGE (acknowledging && due > 0 && ALIVE && job != draining)
#define ACKNOWLEDGED (!acknowledging || job == draining)
#else
#define MAY_ACKNOWLEDGE (acknowledging && due > 0 && ALIVE)
#define ACKNOWLEDGED (!acknowledging)
#endif
#define MAY_START true
#define WINDOWS_OF_SHAPE acknowledging -> printf("world: kill -9, window during ack, or settled before ack\n")

inline snapshot() { skip }
inline forget_input(input) { skip }

inline forget_positions() { skip }

inline forget_reader() {
  fetched = 0;
  held = 0;
  due = 0;
  acknowledging = 0
}

/* Received and not emitted: given back at once. */
inline stop_reading() {
  visible = visible | fetched;
  held = held - fetched;
  fetched = 0
}

/* Messages of the attempt before are given back before the next one receives; after a kill their leases expire. */
inline restore() { visible = ALL - deleted }

inline delete(message) {
  check(nothing_is_acknowledged_early, KEPT(message));
  deleted = deleted | BIT(message);
  visible = visible & (ALL - BIT(message));
  printf("service: message %d is deleted\n", message)
}

/* takeSettled(barrier): what was emitted before the barrier and not returned is settled, and may be deleted. */
inline all_settled() {
  printf("coordinator: completed, tokens below %d\n", barrier);
  d_step {
    spot = covered;
    do
    :: spot < barrier ->
      if
      :: !returned[spot] -> due = due | BIT(record_of[spot]); held = held & (ALL - BIT(record_of[spot]))
      :: else
      fi;
      spot++
    :: else -> break
    od;
    acknowledging = (due > 0);
    acknowledge_again = 0;
    covered = barrier;
    forget_checkpoint()
  }
}

inline delete_one() {
  if
  :: due & BIT(0) -> delete(0); rec = 0
  :: !(due & BIT(0)) -> delete(1); rec = 1
  fi
}

/* A deletion under way is done or not. */
inline end_acknowledging() {
  if
  :: acknowledging -> delete_one()
  :: true
  fi;
  acknowledging = 0
}

inline end_process() { skip }

/* The policy "make visible now": the message leaves the window, and what comes again is a new delivery. */
inline give_message_back(input) {
  rec = record_of[input];
  printf("writer: message %d is given back\n", rec);
  visible = visible | BIT(rec);
#ifndef RETURNED_STAYS_IN_WINDOW
  held = held & (ALL - BIT(rec));
#endif
  give_back(input)
}

inline receive(message) {
  visible = visible & (ALL - BIT(message));
  if
  :: held & BIT(message) ->
    printf("reader: message %d comes again, its first copy is in hand\n", message)
#ifdef SUPPRESS_IN_HAND
    ;
    delete(message)
#endif
  :: due & BIT(message) -> acknowledging = 1; printf("reader: message %d comes again, it is covered\n", message)
  :: else ->
    fetched = fetched | BIT(message);
    held = held | BIT(message);
    printf("reader: received message %d\n", message)
  fi
}

inline check_clean_end() {
#ifdef FAILED_ACKNOWLEDGEMENT_UNREPORTED
  acknowledge_again = 0;
#endif
  check(a_clean_end_leaves_nothing, acknowledge_again || ((held | due) == 0 && (deleted | visible) == ALL))
}

inline emit_message(message) {
  d_step {
    todo = 0;
    spot = 0;
    do
    :: spot < next -> todo = todo + (record_of[spot] == message && count[spot] > 0 && !returned[spot]); spot++
    :: else -> break
    od;
    skip
  };
  check(repeats_are_bounded, todo == 0 && !(due & BIT(message)));
  fetched = fetched & (ALL - BIT(message));
  emit(message)
}

/* A renewal came late: the message is seen again. */
inline expire(message) {
  faults--;
  visible = visible | BIT(message);
  printf("service: the lease of message %d expires\n", message)
}

/* The reader, and the service. */
proctype Service() {
end:
  do
  :: atomic { job == running && (visible & BIT(0)) -> receive(0) }
  :: atomic { job == running && (visible & BIT(1)) -> receive(1) }
  :: atomic { job == running && (fetched & BIT(0)) && len(chunk) == 0 -> emit_message(0) }
  :: atomic { job == running && (fetched & BIT(1)) && len(chunk) == 0 -> emit_message(1) }
  :: atomic { /* in the background, one after the other */
      MAY_ACKNOWLEDGE ->
      delete_one();
      due = due - BIT(rec);
      acknowledging = (due > 0)
    }
  :: atomic { /* a deletion fails, done or not: the next checkpoint repeats it */
      MAY_ACKNOWLEDGE && faults > 0 ->
      faults--;
      printf("service: a deletion fails\n");
      acknowledge_again = 1;
      end_acknowledging()
    }
  :: atomic { faults > 0 && ALIVE && ((held | due) & BIT(0)) && !((visible | deleted) & BIT(0)) -> expire(0) }
  :: atomic { faults > 0 && ALIVE && ((held | due) & BIT(1)) && !((visible | deleted) & BIT(1)) -> expire(1) }
  od
}
