import type { Lane } from './lane.ts'
import type { Parcel } from './parcel.ts'
import type { BatchTrigger, Settlement, SubmitContext } from './spi.ts'

/** A request without an answer, and what its `submit` may know of it. */
export class Request<Entry> implements SubmitContext {
  readonly parcel: Parcel<Entry>
  readonly lane: Lane<Entry>
  readonly trigger: BatchTrigger
  readonly sentAt: number
  readonly attempt: number
  /** Where it is kept while it is in flight. */
  slot = -1
  readonly #settlement: Settlement
  #abort: AbortController | undefined
  #abortReason: Error | undefined

  constructor(parcel: Parcel<Entry>, lane: Lane<Entry>, trigger: BatchTrigger, sentAt: number, settlement: Settlement) {
    this.parcel = parcel
    this.lane = lane
    this.trigger = trigger
    this.sentAt = sentAt
    this.attempt = 1 + parcel.mostTries
    this.#settlement = settlement
  }

  /** Made when it is asked for: a sink that cannot abort does not pay for it. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason)
    return this.#abort.signal
  }

  get replaySuspect(): boolean {
    return isReplaySuspect(this.parcel, this.#settlement)
  }

  abort(reason: Error): void {
    this.#abortReason ??= reason
    this.#abort?.abort(reason)
  }
}

export function isReplaySuspect<Entry>(parcel: Parcel<Entry>, settlement: Settlement): boolean {
  for (let index = 0; index < parcel.length; index++) {
    if (settlement.isReplaySuspect(parcel.token(index))) return true
  }
  return false
}
