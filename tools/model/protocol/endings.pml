/* How attempts and processes end: Attempt.#end in core/src/job/attempt.ts, and kill -9. */

inline forget_request(slot) {
  d_step {
    request[slot].tokens[0] = 0;
    request[slot].tokens[1] = 0;
    request[slot].entries[0] = 0;
    request[slot].entries[1] = 0;
    request[slot].size = 0;
    request[slot].phase = free
  }
}

/* A request that nobody waits for is applied late, or never. */
inline end_unanswered(slot) {
  if
  :: apply(slot); printf("store: request %d is applied, nobody waits for it\n", slot)
  :: printf("store: request %d is never applied\n", slot)
  fi;
  forget_request(slot)
}

inline apply(slot) {
  d_step {
    todo = 0;
    do
    :: todo < request[slot].size ->
      if
      :: request[slot].entries[todo] != POISON -> stored = stored | BIT(request[slot].entries[todo])
      :: else
      fi;
      todo++
    :: else -> break
    od;
    skip
  }
}

/* The entries in hand end as abandoned. */
inline forget_hand() {
  d_step {
    do
    :: len(chunk) > 0 -> chunk ? _, _
    :: len(chunk) == 0 && len(buffer) > 0 -> buffer ? _, _
    :: len(chunk) == 0 && len(buffer) == 0 && len(retries) > 0 -> retries ? _, _
    :: len(chunk) == 0 && len(buffer) == 0 && len(retries) == 0 -> break
    od;
    hastened = 0
  }
}

/* The open checkpoint is over, however it ended. */
inline forget_checkpoint() {
  open = none;
  barrier = 0;
  forget_positions()
}

/* The tracker and the coordinator of an attempt are its own. */
inline forget_attempt() {
  d_step {
    spot = 0;
    do
    :: spot < TOKENS -> count[spot] = 0; record_of[spot] = 0; returned[spot] = 0; spot++
    :: else -> break
    od;
    next = 0;
    watermark = 0;
    forget_checkpoint();
    covered = 0;
    acknowledge_again = 0;
    final_taken = 0;
    forget_reader()
  }
}

/* The attempt fails: nothing more is emitted, sent, begun or acknowledged. What is on its way becomes an orphan. */
inline fail_attempt() {
  forget_hand();
  d_step {
    job = ending;
    spot = 0;
    do
    :: spot < SLOTS ->
      if
      :: request[spot].phase == awaited || request[spot].phase == given_up -> request[spot].phase = orphan
      :: else
      fi;
      spot++
    :: else -> break
    od;
    todo = len(letters);
    do
    :: todo > 0 -> letters ? its_old, its_tok, its_ent; letters ! 1, its_tok, its_ent; todo--
    :: else -> break
    od;
    if
    :: open == settling -> forget_checkpoint()
    :: else
    fi;
    skip
  }
}

/* kill -9: memory is gone, and what was on its way was done or was not. */
inline kill() {
  if
  :: request[0].phase != free -> end_unanswered(0)
  :: else
  fi;
  if
  :: request[1].phase != free -> end_unanswered(1)
  :: else
  fi;
  do
  :: len(letters) > 0 ->
    letters ? old, tok, ent;
    if
    :: lettered = lettered | BIT(ent)
    :: true
    fi
  :: len(letters) == 0 -> break
  od;
  forget_hand();
  end_acknowledging();
  end_process();
  forget_attempt();
  job = down
}
