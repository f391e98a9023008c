import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxyOptions } from '@sluice/testkit'

type RequestHook = NonNullable<FaultProxyOptions['onRequest']>
type ResponseHook = NonNullable<FaultProxyOptions['onResponse']>

/** A fault for one write: before the store applies it, or when it was applied and its answer is still held. */
export interface GateAim {
  readonly at: 'request' | 'answer'
  /** Counted from 1, from the moment of aiming on. */
  readonly nth: number
  /** The request, or the answer, is held until this resolves. */
  strike(): Promise<void>
}

/**
 * Stands between the subject and the store: slows writes, so that both halves of a request last, and lets a fault strike at a
 * chosen write. Other requests pass.
 */
export class WriteGate {
  readonly #isWrite: (headers: Readonly<Record<string, unknown>>) => boolean
  readonly #delayMs: number
  #aim: GateAim | undefined
  #paused: Promise<void> | undefined
  #requests = 0
  #answers = 0
  #firstWriteAtNs: bigint | undefined
  #held = 0
  #unanswered = 0

  /** @param delayMs - of every request, and of every answer. */
  constructor(isWrite: (headers: Readonly<Record<string, unknown>>) => boolean, delayMs: number) {
    this.#isWrite = isWrite
    this.#delayMs = delayMs
  }

  /** Writes held here that the store has not seen. */
  get held(): number {
    return this.#held
  }

  /** Writes that the store has applied and whose answers are held here. */
  get unanswered(): number {
    return this.#unanswered
  }

  /** When the first write of the present subject came; undefined before. */
  get firstWriteAtNs(): bigint | undefined {
    return this.#firstWriteAtNs
  }

  /** A new subject begins; nothing is aimed at it yet. */
  begin(): void {
    this.#aim = undefined
    this.#firstWriteAtNs = undefined
  }

  /** Holds every request and every answer until the returned function is called. */
  pause(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#paused = promise
    return () => {
      this.#paused = undefined
      resolve()
    }
  }

  /** Counts from now on. */
  aim(aim: GateAim): void {
    this.#requests = 0
    this.#answers = 0
    this.#aim = aim
  }

  readonly onRequest: RequestHook = async ({ headers }) => {
    if (this.#isWrite(headers)) await this.beforeApply()
    return undefined
  }

  readonly onResponse: ResponseHook = async ({ request, status }) => {
    if (this.#isWrite(request.headers) && status >= 200 && status < 300) await this.beforeAnswer()
    return undefined
  }

  /** Holds a write. @returns false when a fault struck at it: it never reaches the store. */
  async beforeApply(): Promise<boolean> {
    this.#firstWriteAtNs ??= process.hrtime.bigint()
    const nth = ++this.#requests
    this.#held++
    try {
      return await this.#hold('request', nth)
    } finally {
      this.#held--
    }
  }

  /** Holds the answer of a write that was applied. @returns false when a fault struck at it: nobody gets it. */
  async beforeAnswer(): Promise<boolean> {
    const nth = ++this.#answers
    this.#unanswered++
    try {
      return await this.#hold('answer', nth)
    } finally {
      this.#unanswered--
    }
  }

  async #hold(at: GateAim['at'], nth: number): Promise<boolean> {
    await this.#paused
    const aim = this.#aim
    if (aim?.at !== at || aim.nth !== nth) {
      await sleep(this.#delayMs)
      return true
    }
    await aim.strike()
    return false
  }
}
