/* core/src/tracker/tracker.ts, and what of core/src/job/subtask.ts gives tokens to records and entries to the sink. */

inline advance() {
  d_step {
    do
    :: watermark < next && count[watermark] == 0 -> watermark++
    :: else -> break
    od;
    skip
  }
}

/* One entry of the input has its outcome. */
inline settle(input) {
#if defined(SETTLE_AT_FIRST_ENTRY)
  count[input] = 0;
#elif defined(UNNOTICED)
  count[input] = (count[input] > 0 -> count[input] - 1 : 0);
#else
  check(nothing_is_settled_twice, count[input] > 0);
  count[input]--;
#endif
  forget_input(input);
  advance()
}

/* The same, from a callback of an ended attempt. Each attempt has a tracker of its own, so it means nothing to this one;
 * with one tracker for all it would mean another input, because tokens begin at 0 again. */
inline settle_late(input) {
  which = count[input];
#ifdef LATE_CALLBACK_SETTLES
  if
  :: count[input] > 0 -> settle(input)
  :: else
  fi;
#endif
#ifndef UNNOTICED
  check(late_callbacks_settle_nothing, count[input] == which)
#endif
}

#if !defined(CHECKPOINT) || defined(RELEASING)
#ifndef RELEASING
#define note_returned(input) skip
#endif
/* One entry of the input is given back: once all have ended it is passed by the watermark, and is not acknowledged. */
inline give_back(input) {
#ifndef RETURNED_IS_SETTLED
  returned[input] = 1;
#endif
  note_returned(input);
  count[input]--;
  forget_input(input);
  advance()
}

/* Entries of the split that are not in flight end as returned; those in flight do so unless their answer settles them. */
inline give_back_entries() {
  d_step {
    todo = len(chunk);
    do
    :: todo > 0 ->
      chunk ? its_tok, its_ent;
      if
      :: released[its_tok] -> note_returned(its_tok); returned[its_tok] = 1; count[its_tok]--
      :: else -> chunk ! its_tok, its_ent
      fi;
      todo--
    :: else -> break
    od;
    todo = len(buffer);
    do
    :: todo > 0 ->
      buffer ? its_tok, its_ent;
      if
      :: released[its_tok] -> note_returned(its_tok); returned[its_tok] = 1; count[its_tok]--
      :: else -> buffer ! its_tok, its_ent
      fi;
      todo--
    :: else -> break
    od;
    hastened = (hastened > 0 -> len(buffer) : 0);
    todo = len(retries);
    do
    :: todo > 0 ->
      retries ? its_tok, its_ent;
      if
      :: released[its_tok] -> note_returned(its_tok); returned[its_tok] = 1; count[its_tok]--
      :: else -> retries ! its_tok, its_ent
      fi;
      todo--
    :: else -> break
    od;
    spot = 0;
    do
    :: spot < next ->
      if
      :: count[spot] == 0 -> record_of[spot] = 0; released[spot] = 0; returned[spot] = 0
      :: else
      fi;
      spot++
    :: else -> break
    od;
    do
    :: watermark < next && count[watermark] == 0 -> watermark++
    :: else -> break
    od;
    skip
  }
}
#endif

inline hasten() {
#ifdef PATIENT
  hastened = len(buffer)
#else
  skip
#endif
}

/* #write: as much as there is room for, in the turn of the emission. #hastenIfAwaited: what comes to the sink after the
 * barrier's hasten, although emitted before the barrier, must not wait for its batch to be full. */
inline offer() {
  do
  :: len(chunk) > 0 && len(buffer) < BUFFER ->
    chunk ? tok, ent;
    buffer ! tok, ent;
    printf("subtask: token %d, entry %d into the buffer\n", tok, ent);
#if defined(PATIENT) && !defined(NO_LATE_HASTEN)
    if
    :: job == draining || (open != none && tok < barrier) -> hasten()
    :: else
    fi
#endif
  :: else -> break
  od
}

/* #prepare and the first #write: from here on the record is in hand. */
inline emit(record) {
  printf("subtask: emits record %d with token %d\n", record, next);
  d_step {
    record_of[next] = record;
    count[next] = ENTRIES_OF(record);
    spot = 0;
    do
    :: spot < ENTRIES_OF(record) -> chunk ! next, FIRST_ENTRY(record) + spot; spot++
    :: else -> break
    od;
    next++
  };
  advance();
  offer()
}
