/* core/src/sink: the engine, the destination behind it, and the dead letters of what it refuses. */

/* A batch is sent when it is full, hastened or old; with PATIENT never for its age, so that progress rests on hastening
 * alone. */
#ifdef PATIENT
#define MAY_SEND (len(retries) > 0 || len(buffer) == BATCH || hastened > 0)
#else
#define MAY_SEND (len(retries) > 0 || len(buffer) > 0)
#endif

proctype Subtask() {
end:
  do
  :: atomic { len(chunk) > 0 && len(buffer) < BUFFER -> offer() }
  od
}

/* #pump and #send: repeats first, then new entries in order, up to a full batch. */
proctype Writer() {
end:
  do
  :: atomic {
      ALIVE && MAY_SEND && (request[0].phase == free || request[1].phase == free) ->
      which = (request[0].phase == free -> 0 : 1);
      d_step {
        todo = 0;
        do
        :: todo < BATCH && len(retries) > 0 ->
          retries ? request[which].tokens[todo], request[which].entries[todo];
          todo++
        :: todo < BATCH && len(retries) == 0 && len(buffer) > 0 ->
          buffer ? request[which].tokens[todo], request[which].entries[todo];
          hastened = (hastened > 0 -> hastened - 1 : 0);
          todo++
        :: else -> break
        od;
        request[which].phase = awaited;
        request[which].size = todo
      };
      printf("writer: request %d is sent, %d entries\n", which, request[which].size);
#ifdef ACK_EARLY
      nth = 0;
      do
      :: nth < request[which].size -> settle(request[which].tokens[nth]); nth++
      :: else -> break
      od
#endif
    }
  od
}

/* #retry: again, unless its split was given back meanwhile. */
inline repeat(input, part) {
#ifdef DROP_REQUEUED
  skip
#else
  assert(len(retries) < RETRIES);
  retries !! input, part
#endif
}

inline again(input, part) {
#ifdef RELEASED
  if
  :: RELEASED(input) -> give_back(input)
  :: else -> repeat(input, part)
  fi
#else
  repeat(input, part)
#endif
}

/* Disposition.refuse: the entry stays in hand until its letter is confirmed. */
inline dead_letter(input, part) {
#ifdef IGNORE_REJECT
  settle(input)
#else
  assert(len(letters) < LETTERS);
  letters ! 0, input, part;
  printf("writer: entry %d is refused, its letter is on its way\n", part);
#ifdef SETTLE_BEFORE_LETTER
  settle(input)
#endif
#endif
}

inline refuse(input, part) {
#if defined(RELEASED)
  if
  :: RELEASED(input) -> give_back(input)
  :: else -> dead_letter(input, part)
  fi
#elif defined(INDIVIDUAL)
  if
  :: dead_letter(input, part)
  :: releases > 0 -> releases--; give_message_back(input)
  fi
#else
  dead_letter(input, part)
#endif
}

/* One process for each request under way: what the destination, and the way to it, make of it. */
proctype Store(byte slot) {
end:
  do
  :: atomic { /* answered entry by entry: written, refused, or to be repeated */
      request[slot].phase == awaited && len(letters) <= LETTERS - BATCH ->
      printf("store: request %d is answered\n", slot);
      nth = 0;
      do
      :: nth < request[slot].size ->
        tok = request[slot].tokens[nth];
        ent = request[slot].entries[nth];
        if
        :: ent == POISON -> refuse(tok, ent)
        :: ent != POISON ->
          stored = stored | BIT(ent);
#ifndef ACK_EARLY
          settle(tok)
#endif
        :: faults > 0 -> faults--; printf("store: entry %d is to be repeated\n", ent); again(tok, ent)
        fi;
        nth++
      :: else -> break
      od;
      forget_request(slot)
    }
  :: atomic { /* no answer within the deadline: unknown, and all of it is repeated */
      request[slot].phase == awaited && faults > 0 ->
      faults--;
      printf("store: request %d has no answer in time\n", slot);
      nth = 0;
      do
      :: nth < request[slot].size ->
        tok = request[slot].tokens[nth];
        ent = request[slot].entries[nth];
#ifdef SETTLE_ON_TIMEOUT
        settle(tok);
#else
        again(tok, ent);
#endif
        nth++
      :: else -> break
      od;
      request[slot].phase = given_up
    }
  :: atomic { /* the engine has struck it from its list: the answer is counted and ignored */
      request[slot].phase == given_up ->
#ifdef LATE_ANSWER_SETTLES
      printf("store: request %d is answered late\n", slot);
      nth = 0;
      do
      :: nth < request[slot].size ->
        tok = request[slot].tokens[nth];
        if
        :: request[slot].entries[nth] != POISON ->
          stored = stored | BIT(request[slot].entries[nth]);
          settle(tok)
        :: else
        fi;
        nth++
      :: else -> break
      od;
#endif
      end_unanswered(slot)
    }
  :: atomic { /* the tracker of its attempt has ended: the answer is counted and ignored */
      request[slot].phase == orphan ->
      printf("store: request %d of an ended attempt is answered\n", slot);
      nth = 0;
      do
      :: nth < request[slot].size -> settle_late(request[slot].tokens[nth]); nth++
      :: else -> break
      od;
      end_unanswered(slot)
    }
  :: atomic { /* the destination is at fault: the attempt ends */
      slot == 0 && request[slot].phase == awaited && endings > 0 && ALIVE ->
      endings--;
      printf("store: the destination fails the attempt\n");
      fail_attempt()
    }
  od
}

proctype DeadLetters() {
end:
  do
  :: atomic {
      len(letters) > 0 ->
      letters ? old, tok, ent;
      lettered = lettered | BIT(ent);
      printf("dead letters: the letter of entry %d is stored\n", ent);
      if
      :: old -> settle_late(tok)
#ifndef SETTLE_BEFORE_LETTER
      :: !old -> settle(tok)
#else
      :: !old -> skip
#endif
      fi
    }
  :: atomic { /* beyond its retry budget the job fails, and nothing is dropped */
      len(letters) > 0 && endings > 0 && ALIVE ->
      endings--;
      letters ? old, tok, ent;
      printf("dead letters: the letter of entry %d cannot be stored\n", ent);
      fail_attempt()
    }
  od
}
