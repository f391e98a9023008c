/* core/src/checkpoint/coordinator.ts, core/src/job/job.ts and attempt.ts. */

#if defined(SKIP_FLUSH)
#define SETTLED true
#elif defined(ACKNOWLEDGE_ACROSS_GAP)
#define SETTLED (barrier == 0 || count[barrier - 1] == 0)
#else
#define SETTLED (watermark >= barrier)
#endif
#ifdef TWO_CHECKPOINTS
#define NO_OTHER_OPEN true
#else
#define NO_OTHER_OPEN (open == none)
#endif

#ifndef CHECKPOINT
#define IS_LEAVING false
#define HELD false
#endif

/* In one turn: the barrier, the positions of all splits, and the hasten. */
inline take() {
  check(one_checkpoint_is_open, open == none);
  open = settling;
  barrier = next;
  snapshot();
  hasten();
  printf("coordinator: a checkpoint begins, of tokens below %d\n", barrier)
}

proctype Coordinator() {
end:
  do
  :: atomic { job == running && open == none && !HELD && (next > covered || acknowledge_again) -> take() }
  :: atomic { open == settling && SETTLED && MAY_COMPLETE && ALIVE -> all_settled() }
  :: atomic { /* timeoutMs: given up, and covered by the next. Only the final one has none. */
      open == settling && !final_taken && job != beginning && faults > 0 ->
      faults--;
      forget_checkpoint();
      printf("coordinator: the checkpoint ran into its timeout\n")
    }
  od
}

proctype Job() {
end:
  do
  :: atomic { /* a process, or the next attempt of one */
      job == down || (job == ending && MAY_START) ->
      if
      :: job == ending -> end_acknowledging()
      :: else
      fi;
      forget_attempt();
      printf("job: an attempt begins\n");
      job = running;
      restore()
    }
#ifdef CHECKPOINT
  :: atomic { /* takeFinal of #setUp has ended: the start is stored, and reading begins */
      job == beginning && open == none -> job = running
    }
#endif
  :: atomic { /* the input ended */
      job == running && ALL_EMITTED && !IS_LEAVING && len(chunk) == 0 -> job = finishing; printf("job: the input ended\n")
    }
  :: atomic { /* SIGTERM: reads no more, and brings what was emitted to its end */
      job == running && endings > 0 ->
      endings--;
      printf("job: drains\n");
      job = draining;
      hasten();
      stop_reading()
    }
  :: atomic { /* takeFinal: waits for the open checkpoint, then covers everything */
      (job == draining || job == finishing) && len(chunk) == 0 && !final_taken && !HELD && NO_OTHER_OPEN ->
      final_taken = 1;
      take()
    }
  :: atomic { /* it is completed and acknowledged: a clean end */
      final_taken && open == none && ACKNOWLEDGED && ALIVE ->
      check_clean_end();
      if
      :: job == finishing ->
        rec = 0;
        do
        :: rec < RECORDS -> check(everything_is_kept, KEPT(rec) || !EXPECTED(rec)); rec++
        :: else -> break
        od;
        job = done;
        printf("job: done\n")
      :: job == draining -> printf("job: drained\n"); forget_attempt(); job = down
      fi
    }
  od
}

/* Death at any moment. The runner fails if one of these windows was never met, as for any other line that no search
 * reaches. */
proctype World() {
end:
  do
  :: atomic {
      endings > 0 && (ALIVE || job == ending) ->
      endings--;
      if
      :: FETCHED_NOT_EMITTED -> printf("world: kill -9, window fetch\n")
      :: len(chunk) > 0 || len(buffer) > 0 -> printf("world: kill -9, window buffered\n")
      :: request[0].phase == awaited -> printf("world: kill -9, window in flight, or applied and unanswered\n")
      :: request[0].phase == orphan -> printf("world: kill -9, with a request of an ended attempt in flight\n")
      :: len(letters) > 0 -> printf("world: kill -9, with a letter on its way\n")
      :: open == settling && watermark >= barrier && barrier > covered ->
        printf("world: kill -9, window settled before store\n")
      :: WINDOWS_OF_SHAPE
      :: else -> printf("world: kill -9\n")
      fi;
      kill()
    }
  :: timeout -> check(every_run_ends, job == done); break
  od
}
