import { SluiceError } from '../errors.ts'
import type { SinkCounters } from '../metrics/sink-metrics.ts'
import { backoffMs } from '../runtime/backoff.ts'
import type { CongestionControl } from './congestion-control.ts'
import type { InHand } from './in-hand.ts'
import type { ResolvedSinkOptions } from './options.ts'
import { halves, reasonOf, type Verdict } from './outcome.ts'
import { Parcel } from './parcel.ts'
import type { EntryOutcome, Reason, Refusal, SinkContext } from './spi.ts'

/** Gives every entry of an answered request what the verdict says: an outcome, a place among those to be retried, or a refusal. */
export class Disposition<Entry> {
  readonly #context: SinkContext
  readonly #limits: ResolvedSinkOptions
  readonly #counters: SinkCounters
  readonly #hand: InHand<Entry>
  readonly #congestion: CongestionControl
  readonly #onSettled: () => void

  constructor(
    context: SinkContext,
    limits: ResolvedSinkOptions,
    counters: SinkCounters,
    hand: InHand<Entry>,
    congestion: CongestionControl,
    onSettled: () => void,
  ) {
    this.#context = context
    this.#limits = limits
    this.#counters = counters
    this.#hand = hand
    this.#congestion = congestion
    this.#onSettled = onSettled
  }

  apply(parcel: Parcel<Entry>, verdict: Verdict): void {
    const counters = this.#counters
    switch (verdict.kind) {
      case 'written':
        this.#congestion.onSuccess()
        this.#settleAll(parcel)
        return
      case 'entries':
        this.#applyEach(parcel, verdict.entries)
        return
      case 'all':
        counters.numRecordsSendErrors.value += parcel.length
        if (verdict.unknown) counters.numRequestsUnknown.value++
        else if (verdict.slowDown) counters.numRequestsThrottled.value++
        if (verdict.slowDown) this.#congestion.onSlowDown()
        this.#retry(parcel, verdict.reason, verdict.afterMs)
        return
      case 'halve':
        counters.numRecordsSendErrors.value += parcel.length
        this.#halve(parcel, verdict.reason, verdict.counted)
        return
      case 'fail':
        counters.numRecordsSendErrors.value += parcel.length
        // The destination is at fault, so no try is charged to the entries: they stay in hand until the attempt ends, and are
        // not sent again by this writer.
        parcel.reason = `${verdict.error.code}: ${verdict.error.message}`
        this.#hand.waiting.push(parcel, Number.POSITIVE_INFINITY)
        this.#context.fail(verdict.error)
    }
  }

  /** After the writer was closed: an answer that came in time still settles, everything else is abandoned. */
  applyClosed(parcel: Parcel<Entry>, verdict: Verdict): void {
    for (let index = 0; index < parcel.length; index++) {
      const kind = verdict.kind === 'entries' ? verdict.entries[index]?.kind : verdict.kind
      if (kind === 'written' || kind === 'duplicate' || kind === 'dropped') this.#settle(parcel, index, kind)
      else this.#counters.numRecordsAbandoned.value++
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
    const { settlement } = this.#context
    const { reason, token } = refusal
    const held = { since, reason: `refused, ${reason.code}: ${reason.message}` }
    this.#hand.refusing.add(held)
    this.#hand.bufferedBytes += bytes
    settlement
      .refused(refusal)
      .then((delivered) => {
        if (!delivered || !this.#hand.refusing.delete(held)) return undefined
        this.#hand.bufferedBytes -= bytes
        this.#counters.numRecordsDeadLettered.value++
        if (holdsToken) settlement.settle(token)
        return this.#onSettled()
      })
      .catch((error: unknown) => {
        this.#context.fail(SluiceError.from(error, 'SLUICE_SINK_FAILED', 'a refusal could not be handled'))
      })
  }

  #applyEach(parcel: Parcel<Entry>, outcomes: readonly EntryOutcome[]): void {
    const groups = new Map<
      string,
      { readonly parcel: Parcel<Entry>; readonly reason: Reason; readonly afterMs?: number }
    >()
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.kind !== 'written' && outcome.kind !== 'duplicate') this.#counters.numRecordsSendErrors.value++
      if (outcome.kind === 'retry') {
        const { afterMs } = outcome
        const reason = reasonOf(outcome.reason)
        const key = `${reason.code} ${afterMs ?? ''}`
        let group = groups.get(key)
        if (group === undefined) {
          const again = new Parcel<Entry>()
          again.holdsTokens = parcel.holdsTokens
          group = { parcel: again, reason, ...(afterMs === undefined ? {} : { afterMs }) }
          groups.set(key, group)
        }
        group.parcel.move(parcel, index)
      } else if (outcome.kind === 'refuse') this.#refuseEntry(parcel, index, reasonOf(outcome.reason))
      else this.#settle(parcel, index, outcome.kind)
    }
    if (groups.size === 0) this.#congestion.onSuccess()
    for (const group of groups.values()) this.#retry(group.parcel, group.reason, group.afterMs)
  }

  #retry(parcel: Parcel<Entry>, reason: Reason, afterMs: number | undefined): void {
    const { retry } = this.#limits
    const kept = parcel.emptyPart()
    kept.reason = `${reason.code}: ${reason.message}`
    const attempts = (parcel.attempts ??= parcel.entries.map(() => 0))
    let most = 0
    for (let index = 0; index < parcel.length; index++) {
      const tries = (attempts[index] ?? 0) + 1
      if (tries < retry.maxAttempts) {
        attempts[index] = tries
        most = Math.max(most, tries)
        kept.move(parcel, index)
      } else {
        const message = `${tries} tries (retry.maxAttempts), the last ended with ${reason.code}: ${reason.message}`
        this.#refuseEntry(parcel, index, { ...reason, code: 'retriesExhausted', message })
      }
    }
    if (kept.length === 0) return
    this.#counters.numRecordsRetried.value += kept.length
    // A wait that is no number, from a header that could not be read, must neither hold an entry for ever nor repeat it at once.
    const asked = afterMs !== undefined && Number.isFinite(afterMs) ? afterMs : 0
    const wait = Math.max(asked, backoffMs(most, this.#context.random, retry))
    this.#hand.waiting.push(kept, this.#context.clock.now() + wait)
  }

  #halve(parcel: Parcel<Entry>, reason: Reason, counted: boolean): void {
    if (counted) parcel.isolation ??= { left: this.#limits.maxIsolationRequests }
    const isolation = counted ? parcel.isolation : undefined
    const spent = isolation !== undefined && isolation.left < 2
    if (parcel.length === 1 || spent) {
      const refusal = parcel.length === 1 ? reason : { ...reason, code: 'isolationBudget' }
      for (let index = 0; index < parcel.length; index++) this.#refuseEntry(parcel, index, refusal)
      return
    }
    if (isolation !== undefined) isolation.left -= 2
    for (const half of halves(parcel)) {
      half.reason = `${reason.code}: ${reason.message}`
      this.#hand.waiting.push(half, this.#context.clock.now())
    }
  }

  #refuseEntry(parcel: Parcel<Entry>, index: number, reason: Reason): void {
    const charge = parcel.charge(index)
    this.#hand.bufferedBytes -= charge
    const refusal = {
      token: parcel.token(index),
      stage: 'store',
      reason,
      entry: parcel.entries[index],
      attempts: parcel.tries(index) + 1,
    } as const
    this.refuse(refusal, charge, parcel.enqueuedAt(index), parcel.holdsTokens)
  }

  /** As {@link Disposition.#settle} with `written` for each, which is nearly always what happens. */
  #settleAll(parcel: Parcel<Entry>): void {
    const { length } = parcel
    const { settlement } = this.#context
    let charge = 0
    for (let index = 0; index < length; index++) charge += parcel.charge(index)
    this.#hand.bufferedBytes -= charge
    this.#counters.numRecordsOut.value += length
    this.#counters.numBytesOut.value += parcel.sizeInBytes
    if (!parcel.holdsTokens) return
    for (let index = 0; index < length; index++) settlement.settle(parcel.token(index))
  }

  #settle(parcel: Parcel<Entry>, index: number, kind: 'written' | 'duplicate' | 'dropped'): void {
    const counters = this.#counters
    this.#hand.bufferedBytes -= parcel.charge(index)
    if (kind === 'written') {
      counters.numRecordsOut.value++
      counters.numBytesOut.value += parcel.size(index)
    } else if (kind === 'duplicate') counters.numRecordsDuplicate.value++
    else counters.numRecordsDropped.value++
    if (parcel.holdsTokens) this.#context.settlement.settle(parcel.token(index))
  }
}
