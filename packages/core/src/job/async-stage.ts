import { SluiceError } from '../errors.ts'
import { type Clock, deadline, type Timer } from '../runtime/clock.ts'
import { WakeUp } from '../runtime/signal.ts'
import type { CallSlots, SlotWaiter } from './call-slots.ts'
import type { AsyncStep, CallContext } from './operators.ts'

/** A value on its way through a stage. It holds one reference of its input's token. */
export interface StageItem<Split> {
  value: unknown
  readonly token: number
  readonly byteLength: number
  /** Order key; 0 in a pipeline without `keyBy`. */
  readonly key: number
  readonly split: Split
}

/** How a call ended, in the order in which results go on. */
export interface StageResult<Split> {
  readonly item: StageItem<Split>
  /** What the call rejected with; undefined when it gave a value. */
  readonly rejected: { readonly error: unknown } | undefined
}

export interface StageHost {
  /** True when values have order keys: without `ordered` those of one key keep their order. */
  readonly keyed: boolean
  readonly clock: Clock
  readonly slots: CallSlots
  /** Ends the attempt. */
  fail(error: SluiceError): void
}

interface Call<Split> extends StageResult<Split> {
  rejected: StageResult<Split>['rejected']
  readonly startedAt: number
  ended: boolean
  controller: AbortController | undefined
  /** Why nobody waits for it any more. */
  abandoned: SluiceError | undefined
  /** The call whose result must go on before this one's. */
  previous: Call<Split> | undefined
  next: Call<Split> | undefined
}

/** Values in a stage beside those of calls under way, per call: results that wait for an earlier one, or for the sinks. */
const ITEMS_PER_SLOT = 2

/**
 * One `mapAsync` of one fetch loop. It holds at most twice as many values as calls may be under way: those to be called, under
 * way, and ended. What is ended counts until the next part has taken it, so a slow sink stops new calls.
 */
export class AsyncStage<Split> implements SlotWaiter {
  readonly step: AsyncStep
  readonly #host: StageHost
  readonly #capacity: number
  readonly #toCall: StageItem<Split>[] = []
  /** In the order of their starts, which is that of their deadlines. */
  readonly #underWay = new Set<Call<Split>>()
  /** The newest call of each chain of results that keep their order. */
  readonly #newest = new Map<number, Call<Split>>()
  #results: Call<Split>[] = []
  #size = 0
  #waitsForSlot = false
  #timer: Timer | undefined
  #ended = false
  readonly #room = new WakeUp()
  readonly #changed = new WakeUp()

  constructor(step: AsyncStep, host: StageHost) {
    this.step = step
    this.#host = host
    this.#capacity = step.concurrency * ITEMS_PER_SLOT
  }

  /** Values in the stage. */
  get size(): number {
    return this.#size
  }

  get hasRoom(): boolean {
    return this.#size < this.#capacity
  }

  /** When the oldest call under way began. */
  get oldestStartedAt(): number | undefined {
    const [oldest] = this.#underWay
    return oldest?.startedAt
  }

  /** Resolves when there may be room. */
  roomy(): Promise<void> {
    return this.#room.wait()
  }

  /** Resolves when there may be results, or nothing is left to wait for. */
  changed(): Promise<void> {
    return this.#changed.wait()
  }

  wake(): void {
    this.#changed.wake()
  }

  add(item: StageItem<Split>): void {
    this.#size++
    this.#toCall.push(item)
    this.#callNext()
  }

  /** Results that may go on; they take up room until {@link AsyncStage.leave}. */
  take(): readonly StageResult<Split>[] {
    const results = this.#results
    if (results.length > 0) this.#results = []
    return results
  }

  /** That many of the results taken are out of hand. */
  leave(count: number): void {
    this.#size -= count
    if (this.hasRoom) this.#room.wake()
  }

  granted(): void {
    this.#waitsForSlot = false
    const item = this.#ended ? undefined : this.#toCall.shift()
    if (item === undefined) return this.#host.slots.give()
    this.#call(item)
    this.#callNext()
  }

  /** Abandons every call: what they still give is ignored. */
  end(reason: SluiceError): void {
    this.#ended = true
    this.#timer?.cancel()
    for (const call of this.#underWay) abandon(call, reason)
    this.#toCall.length = 0
    this.#results = []
    this.#room.wake()
    this.#changed.wake()
  }

  #callNext(): void {
    const { slots } = this.#host
    while (this.#toCall.length > 0 && !this.#waitsForSlot) {
      if (slots.take(this)) this.#call(this.#toCall.shift() as StageItem<Split>)
      else this.#waitsForSlot = true
    }
  }

  #call(item: StageItem<Split>): void {
    const startedAt = this.#host.clock.now()
    const call: Call<Split> = {
      item,
      rejected: undefined,
      startedAt,
      ended: false,
      controller: undefined,
      abandoned: undefined,
      previous: undefined,
      next: undefined,
    }
    this.#chain(call)
    this.#underWay.add(call)
    this.#armTimer()
    const context: CallContext = {
      // An AbortController costs more than the rest of a call.
      get signal() {
        call.controller ??= new AbortController()
        if (call.abandoned !== undefined) call.controller.abort(call.abandoned)
        return call.controller.signal
      },
    }
    // A throw becomes a rejection, and a result is never there in the same turn: no stack grows with the values.
    new Promise((resolve) => {
      resolve(this.step.fn(item.value, context))
    }).then(
      (value) => this.#callResolved(call, value),
      (error: unknown) => this.#callRejected(call, error),
    )
  }

  /** Puts the call behind the one whose result must go on before its own. */
  #chain(call: Call<Split>): void {
    const { ordered } = this.step
    if (!ordered && !this.#host.keyed) return
    const chain = ordered ? 0 : call.item.key
    const previous = this.#newest.get(chain)
    call.previous = previous
    if (previous !== undefined) previous.next = call
    this.#newest.set(chain, call)
  }

  #callResolved(call: Call<Split>, value: unknown): void {
    call.item.value = value
    this.#callEnded(call)
  }

  #callRejected(call: Call<Split>, error: unknown): void {
    if (SluiceError.isInstance(error) && error.restartable) {
      // The look-up failed, not the record.
      if (call.abandoned === undefined) this.#host.fail(error)
      return
    }
    call.rejected = { error }
    this.#callEnded(call)
  }

  #callEnded(call: Call<Split>): void {
    if (call.abandoned !== undefined) return
    this.#underWay.delete(call)
    call.ended = true
    if (this.#underWay.size === 0) {
      this.#timer?.cancel()
      this.#timer = undefined
    }
    if (call.previous === undefined) this.#goOn(call)
    this.#host.slots.give()
  }

  /** Lets the results go on that waited for this one alone. */
  #goOn(first: Call<Split>): void {
    const { ordered } = this.step
    let call: Call<Split> | undefined = first
    while (call?.ended === true) {
      this.#results.push(call)
      const next: Call<Split> | undefined = call.next
      if (next !== undefined) next.previous = undefined
      else if (ordered || this.#host.keyed) this.#newest.delete(ordered ? 0 : call.item.key)
      call = next
    }
    this.#changed.wake()
  }

  #armTimer(): void {
    const { oldestStartedAt } = this
    if (this.#timer !== undefined || oldestStartedAt === undefined) return
    const { clock } = this.#host
    this.#timer = deadline(clock, oldestStartedAt + this.step.timeoutMs - clock.now(), () => {
      this.#timer = undefined
      this.#expire()
    })
  }

  #expire(): void {
    const { stage, timeoutMs } = this.step
    const latest = this.#host.clock.now() - timeoutMs
    for (const call of this.#underWay) {
      if (call.startedAt > latest) break
      this.#underWay.delete(call)
      const message = `${stage}: a call did not end within ${timeoutMs} ms (timeoutMs)`
      const error = new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, {
        restartable: true,
        facts: { stage, timeoutMs },
      })
      abandon(call, error)
      this.#host.fail(error)
    }
    this.#armTimer()
  }
}

function abandon(call: Call<unknown>, reason: SluiceError): void {
  call.abandoned = reason
  call.controller?.abort(reason)
}
