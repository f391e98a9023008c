import { SluiceError } from '../errors.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { type Clock, deadline, type Timer } from '../runtime/clock.ts'
import { WakeUp } from '../runtime/signal.ts'
import type { CallSlots, SlotWaiter } from './call-slots.ts'
import type { AsyncStep, CallContext } from './operators.ts'

/** A value on its way through a stage. It holds one reference of its input's token. */
export interface StageValue<Split> {
  /** What the call is given, and then what it gave. */
  readonly value: unknown
  readonly token: number
  readonly byteLength: number
  /** Order key; 0 in a pipeline without `keyBy`. */
  readonly key: number
  readonly split: Split
  /** What the call rejected with. */
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

class Call<Split> implements StageValue<Split> {
  value: unknown
  readonly token: number
  readonly byteLength: number
  readonly key: number
  readonly split: Split
  rejected: { readonly error: unknown } | undefined = undefined
  startedAt = 0
  ended = false
  /** Its split was given back. */
  released = false
  /** Why nobody waits for it any more. */
  abandoned: SluiceError | undefined = undefined
  controller: AbortController | undefined = undefined
  /** The call whose result must go on before this one's. */
  previous: Call<Split> | undefined = undefined
  next: Call<Split> | undefined = undefined

  constructor(value: unknown, token: number, byteLength: number, key: number, split: Split) {
    this.value = value
    this.token = token
    this.byteLength = byteLength
    this.key = key
    this.split = split
  }

  /** Made when it is looked at: an AbortController costs more than the rest of a call. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController()
    if (this.abandoned !== undefined) this.controller.abort(this.abandoned)
    return this.controller.signal
  }

  /** What it still gives is not looked at. */
  release(reason: SluiceError): void {
    this.released = true
    this.controller?.abort(reason)
  }

  abandon(reason: SluiceError): void {
    this.abandoned = reason
    this.controller?.abort(reason)
  }
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
  readonly #toCall: Call<Split>[] = []
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

  add(value: unknown, token: number, byteLength: number, key: number, split: Split): void {
    this.#size++
    this.#toCall.push(new Call(value, token, byteLength, key, split))
    this.#callNext()
  }

  /** Results that may go on; they take up room until {@link AsyncStage.leave}. */
  take(): readonly StageValue<Split>[] {
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
    const call = this.#ended ? undefined : this.#toCall.shift()
    if (call === undefined) return this.#host.slots.give()
    this.#begin(call)
    this.#callNext()
  }

  /** Gives up the calls of these inputs: they end at once, with nothing, in their order. */
  release(isReleased: (token: number) => boolean): void {
    const reason = new SluiceError('SLUICE_CLOSED', 'the split was released', { restartable: true })
    // First: the slots that the calls under way give back would be theirs.
    for (const call of this.#toCall) call.released ||= isReleased(call.token)
    // Calls that end leave the set and others may come into it: a set takes both while it is walked.
    for (const call of this.#underWay) {
      if (call.released || !isReleased(call.token)) continue
      call.release(reason)
      this.#callEnded(call)
    }
  }

  /** Abandons every call: what they still give is ignored. */
  end(reason: SluiceError): void {
    this.#ended = true
    this.#timer?.cancel()
    for (const call of this.#underWay) call.abandon(reason)
    this.#toCall.length = 0
    this.#results = []
    this.#room.wake()
    this.#changed.wake()
  }

  #callNext(): void {
    const { slots } = this.#host
    while (this.#toCall.length > 0 && !this.#waitsForSlot) {
      if (slots.take(this)) this.#begin(this.#toCall.shift() as Call<Split>)
      else this.#waitsForSlot = true
    }
  }

  #begin(call: Call<Split>): void {
    call.startedAt = this.#host.clock.now()
    this.#chain(call)
    this.#underWay.add(call)
    if (call.released) return this.#callEnded(call)
    this.#armTimer()
    void this.#run(call)
  }

  async #run(call: Call<Split>): Promise<void> {
    const { fn } = this.step
    try {
      failpoint('job:calling')
      const value = await fn(call.value, this.#contextOf(call))
      failpoint('job:called')
      if (call.released) return
      call.value = value
    } catch (error) {
      if (call.released) return
      call.rejected = { error }
      // After a throw, too, the next call begins in another turn: no stack grows with the values.
      await Promise.resolve()
      if (call.released) return
    }
    this.#callEnded(call)
  }

  /** With a property of its own, which `{ ...context }` keeps, where the function may look at it. */
  #contextOf(call: Call<Split>): CallContext {
    if (this.step.fn.length < 2) return new PlainContext(call)
    return {
      get signal() {
        return call.signal
      },
    }
  }

  /** Puts the call behind the one whose result must go on before its own. */
  #chain(call: Call<Split>): void {
    const { ordered } = this.step
    if (!ordered && !this.#host.keyed) return
    const chain = ordered ? 0 : call.key
    const previous = this.#newest.get(chain)
    call.previous = previous
    if (previous !== undefined) previous.next = call
    this.#newest.set(chain, call)
  }

  #callEnded(call: Call<Split>): void {
    if (call.abandoned !== undefined) return
    const error = call.rejected?.error
    if (SluiceError.isInstance(error) && error.restartable) return this.#host.fail(error)
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
      else if (ordered || this.#host.keyed) this.#newest.delete(ordered ? 0 : call.key)
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
      call.abandon(error)
      this.#host.fail(error)
    }
    this.#armTimer()
  }
}

class PlainContext implements CallContext {
  readonly #call: Call<unknown>

  constructor(call: Call<unknown>) {
    this.#call = call
  }

  get signal(): AbortSignal {
    return this.#call.signal
  }
}
