import { SluiceError } from '../errors.ts'
import type { SinkCounters } from '../metrics/sink-metrics.ts'
import { backoffMs } from '../runtime/backoff.ts'
import type { ColumnPool } from './entry-queue.ts'
import type { InHand } from './in-hand.ts'
import type { Lane } from './lane.ts'
import type { ResolvedSinkOptions } from './options.ts'
import { halves, reasonOf, type Verdict } from './outcome.ts'
import type { Parcel } from './parcel.ts'
import { isReplaySuspect } from './request.ts'
import type { Reason, Refusal, SinkContext } from './spi.ts'

export interface DispositionPlan<Entry> {
  readonly context: SinkContext
  readonly limits: ResolvedSinkOptions
  readonly counters: SinkCounters
  readonly hand: InHand<Entry>
  readonly pool: ColumnPool
  /** True if entries have an order: a repeat then holds back its lane. */
  isOrdered(): boolean
  /** These entries wait from now on, for their repeat or for the parts before them. */
  onParked(parcel: Parcel<Entry>): void
  /** The attempt is to end: nothing more may be sent. */
  onFailed(): void
  /** A refused entry has left, so there may be room. */
  onLeft(): void
}

/** Gives every entry of an answered request what the verdict says: an outcome, a place among those to be retried, or a refusal. */
export class Disposition<Entry> {
  readonly #plan: DispositionPlan<Entry>

  constructor(plan: DispositionPlan<Entry>) {
    this.#plan = plan
  }

  apply(parcel: Parcel<Entry>, lane: Lane<Entry>, verdict: Verdict): void {
    const { counters, context } = this.#plan
    const { limiter } = lane.destination
    switch (verdict.kind) {
      case 'written':
        limiter.onSuccess()
        this.#settleAll(parcel)
        return
      case 'entries':
        this.#applyEach(parcel, lane, verdict)
        return
      case 'all':
        this.#countEnd(verdict)
        if (verdict.slowDown) this.#slowDown(lane, verdict.afterMs)
        for (let index = 0; index < parcel.length; index++) this.#countTry(parcel, index)
        this.#retry(parcel, lane, verdict.reason, verdict.afterMs)
        return
      case 'halve':
        counters.numRecordsSendErrors.value += parcel.length
        this.#halve(parcel, lane, verdict.reason, verdict.counted)
        return
      case 'fail':
        counters.numRecordsSendErrors.value += parcel.length
        // The destination is at fault, so no try is charged to the entries: they stay in hand until the attempt ends, and are
        // not sent again by this writer.
        parcel.reason = `${verdict.error.code}: ${verdict.error.message}`
        this.#park(parcel, lane, Number.POSITIVE_INFINITY)
        this.#plan.onFailed()
        context.fail(verdict.error)
    }
  }

  /** After the writer was closed: an answer that came in time still settles, everything else is abandoned. */
  applyClosed(parcel: Parcel<Entry>, verdict: Verdict): void {
    for (let index = 0; index < parcel.length; index++) {
      const kind = verdict.kind === 'entries' ? verdict.entries[index]?.kind : verdict.kind
      if (kind === 'written' || kind === 'duplicate' || kind === 'dropped') this.#settle(parcel, index, kind)
      else this.#plan.counters.numRecordsAbandoned.value++
    }
  }

  /**
   * Core decides about a refused record. It stays in hand until a letter is confirmed: a refusal is not an outcome.
   *
   * @param bytes - its charge on `bufferedBytes`.
   * @param since - when the entry was accepted.
   * @param holdsToken - false if the token was settled ahead of the outcome.
   */
  refuse(refusal: Refusal, bytes: number, since: number, holdsToken: boolean): void {
    const { context, hand, counters } = this.#plan
    const { settlement } = context
    const { reason, token } = refusal
    // What a converter threw may quote the record.
    const why = refusal.stage === 'convert' && reason.cause !== undefined ? '' : `: ${reason.message}`
    const held = { since, reason: `refused, ${reason.code}${why}` }
    hand.refusing.add(held)
    hand.bufferedRecords++
    hand.bufferedBytes += bytes
    settlement
      .refused(refusal)
      .then((delivered) => {
        if (!delivered || !hand.refusing.delete(held)) return undefined
        hand.bufferedRecords--
        hand.bufferedBytes -= bytes
        counters.numRecordsDeadLettered.value++
        if (holdsToken) settlement.settle(token)
        return this.#plan.onLeft()
      })
      .catch((error: unknown) => {
        context.fail(SluiceError.from(error, 'SLUICE_SINK_FAILED', 'a refusal could not be handled'))
      })
  }

  /** The parcel without the entries that have to leave: those of a released split, and those whose time is over. */
  withoutLeaving(parcel: Parcel<Entry>, now: number, triesUnderWay: 0 | 1 = 0): Parcel<Entry> | undefined {
    const { context, limits } = this.#plan
    const leaves = (index: number): boolean =>
      context.settlement.isReleased(parcel.token(index)) || parcel.enqueuedAt(index) + limits.entryTimeoutMs <= now
    let stays = 0
    for (let index = 0; index < parcel.length; index++) if (!leaves(index)) stays++
    if (stays === parcel.length) return parcel
    const kept = parcel.emptyPart()
    kept.dueAt = parcel.dueAt
    for (let index = 0; index < parcel.length; index++) {
      if (!leaves(index)) kept.move(parcel, index)
      else if (context.settlement.isReleased(parcel.token(index))) this.#return(parcel, index)
      else {
        const tries = parcel.tries(index) + triesUnderWay
        this.#refuseEntry(parcel, index, timeoutReason(limits.entryTimeoutMs, parcel.reason), tries)
      }
    }
    return stays === 0 ? undefined : kept
  }

  #applyEach(parcel: Parcel<Entry>, lane: Lane<Entry>, verdict: Extract<Verdict, { kind: 'entries' }>): void {
    this.#countEnd(verdict)
    const groups = new Map<
      string,
      { readonly parcel: Parcel<Entry>; readonly reason: Reason; readonly afterMs?: number }
    >()
    for (const [index, outcome] of verdict.entries.entries()) {
      if (outcome.kind === 'retry') {
        if (outcome.isTry === false) parcel.unsettled(index)
        else this.#countTry(parcel, index)
        const { afterMs } = outcome
        const reason = reasonOf(outcome.reason)
        // With order all of them are repeated together, as they were: the longest wait counts.
        const key = this.#plan.isOrdered() ? '' : `${reason.code} ${afterMs ?? ''}`
        const known = groups.get(key)
        const again = known?.parcel ?? parcel.emptyPart()
        const longest = Math.max(known?.afterMs ?? 0, waitOf(afterMs))
        groups.set(key, { parcel: again, reason, ...(longest === 0 ? {} : { afterMs: longest }) })
        again.move(parcel, index)
        continue
      }
      if (outcome.kind === 'refuse' || outcome.kind === 'dropped') this.#plan.counters.numRecordsSendErrors.value++
      if (outcome.kind === 'refuse') this.#refuseEntry(parcel, index, reasonOf(outcome.reason))
      else this.#settle(parcel, index, outcome.kind)
    }
    if (verdict.slowDown) this.#slowDown(lane, undefined)
    else if (groups.size === 0) lane.destination.limiter.onSuccess()
    for (const group of groups.values()) {
      group.parcel.exact = false
      group.parcel.isolation = undefined
      this.#retry(group.parcel, lane, group.reason, group.afterMs)
    }
  }

  #countEnd({ unknown, slowDown }: { readonly unknown: boolean; readonly slowDown: boolean }): void {
    const { counters } = this.#plan
    if (unknown) counters.numRequestsUnknown.value++
    else if (slowDown) counters.numRequestsThrottled.value++
  }

  #countTry(parcel: Parcel<Entry>, index: number): void {
    this.#plan.counters.numRecordsSendErrors.value++
    parcel.failed(index, this.#plan.context.clock.now())
  }

  #slowDown({ destination }: Lane<Entry>, afterMs: number | undefined): void {
    destination.limiter.onSlowDown()
    const until = this.#plan.context.clock.now() + waitOf(afterMs)
    destination.pausedUntil = Math.max(destination.pausedUntil, until)
  }

  /** @param given - whose tries are counted. */
  #retry(given: Parcel<Entry>, lane: Lane<Entry>, reason: Reason, afterMs: number | undefined): void {
    const { retry } = this.#plan.limits
    const { clock, random } = this.#plan.context
    const now = clock.now()
    given.reason = `${reason.code}: ${reason.message}`
    const parcel = this.withoutLeaving(given, now)
    if (parcel === undefined) return
    const kept = parcel.emptyPart()
    // Also where no try was counted: nothing is repeated at once.
    let most = 1
    for (let index = 0; index < parcel.length; index++) {
      const tries = parcel.tries(index)
      const elapsedMs = now - (parcel.firstFailedAt(index) ?? now)
      if (tries < retry.maxAttempts && elapsedMs < retry.maxElapsedMs) {
        most = Math.max(most, tries)
        kept.move(parcel, index)
        continue
      }
      const budget = tries >= retry.maxAttempts ? 'retry.maxAttempts' : 'retry.maxElapsedMs'
      const message = `${tries} tries (${budget}), the last ended with ${reason.code}: ${reason.message}`
      this.#refuseEntry(parcel, index, { ...reason, code: 'retriesExhausted', message }, tries)
    }
    if (kept.length === 0) return
    this.#plan.counters.numRecordsRetried.value += kept.length
    this.#park(kept, lane, now + Math.max(waitOf(afterMs), backoffMs(most, random, retry)))
  }

  #halve(given: Parcel<Entry>, lane: Lane<Entry>, reason: Reason, counted: boolean): void {
    const now = this.#plan.context.clock.now()
    given.reason = `${reason.code}: ${reason.message}`
    const parcel = this.withoutLeaving(given, now, 1)
    if (parcel === undefined) return
    if (parcel.length < given.length) {
      // Who was refused may have left: the rest is asked for again.
      this.#sendInOrder(lane, [parcel], now)
      return
    }
    if (counted) parcel.isolation ??= { requestsLeft: this.#isolationBudget(parcel) }
    const isolation = counted ? parcel.isolation : undefined
    const spent = isolation !== undefined && isolation.requestsLeft < 2
    if (parcel.length === 1 || spent) {
      const refusal = parcel.length === 1 ? reason : { ...reason, code: 'isolationBudget' }
      for (let index = 0; index < parcel.length; index++) this.#refuseEntry(parcel, index, refusal)
      return
    }
    if (isolation !== undefined) isolation.requestsLeft -= 2
    this.#sendInOrder(lane, halves(parcel), now)
  }

  /** Each part is sent exactly as it is, when the one before it has ended. */
  #sendInOrder(lane: Lane<Entry>, parts: readonly Parcel<Entry>[], now: number): void {
    const { again } = lane.isSerial ? lane : lane.destination.isolate()
    for (const part of parts.toReversed()) {
      part.exact = true
      part.dueAt = now
      this.#plan.onParked(part)
      this.#plan.hand.bufferedRecords += part.length
      again.push(part)
    }
  }

  /** A request full of repeats may be all bad for one reason that is no one's fault: each entry may then be asked for alone. */
  #isolationBudget(parcel: Parcel<Entry>): number {
    const { limits, context } = this.#plan
    const { maxIsolationRequests } = limits
    if (!isReplaySuspect(parcel, context.settlement)) return maxIsolationRequests
    return Math.max(maxIsolationRequests, 2 * parcel.length - 2)
  }

  #park(parcel: Parcel<Entry>, lane: Lane<Entry>, dueAt: number): void {
    parcel.dueAt = dueAt
    this.#plan.onParked(parcel)
    this.#plan.hand.bufferedRecords += parcel.length
    if (this.#plan.isOrdered()) lane.again.push(parcel)
    else lane.destination.waiting.push(parcel, dueAt)
  }

  #return(parcel: Parcel<Entry>, index: number): void {
    this.#plan.hand.bufferedBytes -= parcel.charge(index)
    this.#plan.counters.numRecordsReturned.value++
    if (parcel.holdsTokens) this.#plan.context.settlement.returned(parcel.token(index))
  }

  #refuseEntry(parcel: Parcel<Entry>, index: number, reason: Reason, attempts?: number): void {
    const charge = parcel.charge(index)
    this.#plan.hand.bufferedBytes -= charge
    const firstFailedAt = parcel.firstFailedAt(index)
    const refusal: Refusal = {
      token: parcel.token(index),
      stage: 'store',
      reason,
      entry: parcel.entries[index],
      attempts: attempts ?? parcel.tries(index) + 1,
      ...(firstFailedAt === undefined ? {} : { firstFailedAt }),
    }
    this.refuse(refusal, charge, parcel.enqueuedAt(index), parcel.holdsTokens)
  }

  /** As {@link Disposition.#settle} with `written` for each, which is nearly always what happens. */
  #settleAll(parcel: Parcel<Entry>): void {
    const { length } = parcel
    const { counters, hand, pool, context } = this.#plan
    hand.bufferedBytes -= parcel.charges
    counters.numRecordsOut.value += length
    counters.numBytesOut.value += parcel.sizeInBytes
    if (parcel.holdsTokens) context.settlement.settleAll(parcel.tokens, length)
    pool.give(parcel.columns)
  }

  #settle(parcel: Parcel<Entry>, index: number, kind: 'written' | 'duplicate' | 'dropped'): void {
    const { counters, hand, context } = this.#plan
    hand.bufferedBytes -= parcel.charge(index)
    if (kind === 'written') {
      counters.numRecordsOut.value++
      counters.numBytesOut.value += parcel.size(index)
    } else if (kind === 'duplicate') counters.numRecordsDuplicate.value++
    else counters.numRecordsDropped.value++
    if (parcel.holdsTokens) context.settlement.settle(parcel.token(index))
  }
}

/** A wait that is no number, from a header that could not be read, must neither hold an entry for ever nor repeat it at once. */
function waitOf(afterMs: number | undefined): number {
  return afterMs !== undefined && Number.isFinite(afterMs) ? Math.max(0, afterMs) : 0
}

export function timeoutReason(entryTimeoutMs: number, lastReason: string): Reason {
  const message = `no outcome within ${entryTimeoutMs} ms of its acceptance (entryTimeoutMs); ${lastReason}`
  return { code: 'entryTimeout', message }
}
