/*
 * Emit, settle, checkpoint, acknowledge, die, go on: the protocol that keeps records from being lost, without the code
 * around it.
 *
 * One shape is checked at a time: CHECKPOINT (the stored snapshot is the position), PREFIX (a service keeps one position
 * a split, and takes splits away), INDIVIDUAL (a service keeps each message). All run the same tracker, subtask, sink
 * engine, coordinator and job.
 *
 * How it is written. Node.js runs one turn of the event loop at a time: a turn is one `atomic` here, and a process is a
 * loop over its turns, without a place of its own: all that it knows is in the variables below. That makes `kill -9`
 * what it is in life, forgetting the variables that lie in memory. Any turn whose guard holds may be the next: no order,
 * no speed and no fairness is assumed. What is outside (Store, Service, World) does its worst, as often as its budgets
 * allow. A turn never blocks once it has begun.
 */

/* ---- budgets of what is outside; the runner sets them for each variant ---- */
#ifndef ENDINGS
#define ENDINGS 1 /* kills, drains, failures of the attempt */
#endif
#ifndef FAULTS
#define FAULTS 1 /* unanswered requests, entries to be repeated, failed or doubled acknowledgements, expired leases,
                    checkpoints that time out */
#endif
#ifndef RELEASES
#define RELEASES 0 /* splits taken away, messages given back */
#endif

/* ---- the input: records 0 and 1 in split 0, record 2 in split 1. Entry 2 is poison: the store refuses it for itself.
 * Record 1 becomes two entries, or only the poison where that is enough. A service that keeps messages has no splits,
 * and two messages. ---- */
#define SPLITS 2
#ifdef INDIVIDUAL
#define RECORDS 2
#else
#define RECORDS 3
#endif
#ifdef PREFIX
#define ENTRIES_OF(record) 1
#define FIRST_ENTRY(record) ((record) == 0 -> 0 : (record) + 1)
#define MASK(record) ((record) == 0 -> 1 : ((record) == 1 -> 4 : 8))
#else
#define ENTRIES_OF(record) ((record) == 1 -> 2 : 1)
#define FIRST_ENTRY(record) ((record) == 2 -> 3 : (record))
#define MASK(record) ((record) == 0 -> 1 : ((record) == 1 -> 6 : 8))
#endif
#define LENGTH(split) (2 - (split))
#define RECORD(split, position) (2 * (split) + (position))
#define SPLIT_OF(record) ((record) / 2)
#define POSITION_OF(record) ((record) % 2)
#define POISON 2
#define BIT(number) (1 << (number))

#define BATCH 2  /* maxBatchSize */
#define BUFFER 2 /* maxBufferedRequests */
#define SLOTS 2  /* maxInFlightRequests */
#define RETRIES 6
#define LETTERS 4
#define TOKENS (RECORDS + 2 * RELEASES)

/* ---- properties: one variable each, so that a refutation says its name; the condition stands where it is checked ---- */
hidden byte nothing_is_acknowledged_early;
hidden byte everything_is_kept;
hidden byte checkpoints_never_go_backwards;
hidden byte nothing_is_settled_twice;
hidden byte late_callbacks_settle_nothing;
hidden byte repeats_are_bounded;
hidden byte one_checkpoint_is_open;
hidden byte a_clean_end_leaves_nothing;
hidden byte every_run_ends;
inline check(property, condition) {
  property = (condition);
  assert(property)
}

/* ---- survives a kill: what the stores of entries and of letters hold, one bit an entry ---- */
byte stored;
byte lettered;
#define KEPT(record) (((stored | lettered) & MASK(record)) == MASK(record))

/* ---- budgets that are left ---- */
byte endings = ENDINGS;
byte faults = FAULTS;
byte releases = RELEASES;

/* ---- memory of the process ---- */

/* job.ts and attempt.ts. down: a process is about to start; beginning: the start positions are being stored; ending:
 * Attempt.#end waits for its parts. */
mtype = { down, beginning, running, draining, finishing, ending, done }
mtype job = down;
#define ALIVE (job == beginning || job == running || job == draining || job == finishing)
bit final_taken;

/* tracker.ts, by token: how many entries of the input are in hand. `watermark` is the lowest token that has some. */
byte next;
byte watermark;
byte count[TOKENS];
byte record_of[TOKENS];
bit returned[TOKENS]; /* an entry was given back: the input is waited for, and never acknowledged */

/* subtask.ts: entries that have their tokens and wait for room in the sink */
chan chunk = [2] of { byte, byte };

/* async-sink-writer.ts: token and entry of what is to be sent, and of what is to be repeated; how many from the head are
 * hastened */
chan buffer = [BUFFER] of { byte, byte };
chan retries = [RETRIES] of { byte, byte };
byte hastened;

/* Requests. given_up: the deadline passed, and the entries are to be repeated; orphan: its attempt ended. Both may be
 * answered yet. */
mtype = { free, awaited, given_up, orphan }
typedef Request {
  mtype phase = free;
  byte size;
  byte tokens[BATCH];
  byte entries[BATCH]
}
Request request[SLOTS];

/* dead-letters: whether the attempt of the letter has ended, token, entry */
chan letters = [LETTERS] of { bit, byte, byte };

/* coordinator.ts */
mtype = { none, settling, storing }
mtype open = none;
byte barrier;
byte covered;          /* tokens below are covered by a completed checkpoint */
bit acknowledge_again; /* an acknowledgement failed: the next checkpoint repeats it */

/* ---- scratch of one turn, no part of the state. The search does not restore the second line when it goes back through a
 * d_step: only d_steps may use it, and each sets what it reads. ---- */
hidden byte nth, tok, ent, rec, which, old;
hidden byte spot, todo, its_old, its_tok, its_ent;

#include "tracker.pml"
#include "endings.pml"
#if defined(CHECKPOINT)
#include "checkpoint.pml"
#elif defined(PREFIX)
#include "prefix.pml"
#elif defined(INDIVIDUAL)
#include "individual.pml"
#else
#error "define CHECKPOINT, PREFIX or INDIVIDUAL"
#endif
#include "sink.pml"
#include "job.pml"

init {
  atomic {
    run Job();
    run Subtask();
    run Writer();
    run Store(0);
    run Store(1);
    run DeadLetters();
    run Coordinator();
    run Service();
    run World()
  }
}
