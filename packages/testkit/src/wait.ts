import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'

/** How {@link waitFor} waits. */
export interface WaitForOptions {
  /** What is waited for, as the error names it: `'stream orders to be ACTIVE'`. */
  readonly what: string
  /** Milliseconds until the wait fails. @default 10_000 */
  readonly deadlineMs?: number
  /** Milliseconds between two looks. @default 20 */
  readonly intervalMs?: number
}

/**
 * Calls `condition` until it gives a truthy value, and resolves with that value.
 *
 * A condition that throws counts as not met yet. At the deadline an `Error` names what was waited for and the last value
 * or error seen (the error is also its `cause`). A condition that does not answer at all is given up at the deadline.
 *
 * @example
 * ```ts
 * const rows = await waitFor(() => store.rows.length >= 3 && store.rows, { what: 'three rows' })
 * ```
 */
export async function waitFor<T>(condition: () => T | Falsy | Promise<T | Falsy>, options: WaitForOptions): Promise<T> {
  const { what, deadlineMs = 10_000, intervalMs = 20 } = options
  const startedAt = performance.now()
  let seen = 'nothing: the condition did not answer'
  let cause: unknown
  const ended = new AbortController()
  const deadline = sleep(deadlineMs, undefined, { signal: ended.signal }).catch(() => undefined)
  try {
    for (;;) {
      const look = await Promise.race([attempt(condition), deadline])
      if (look === undefined) break
      if ('value' in look) {
        if (look.value) return look.value
        seen = inspect(look.value, { depth: 3, breakLength: Infinity })
        cause = undefined
      } else {
        seen = String(look.error)
        cause = look.error
      }
      if (performance.now() - startedAt + intervalMs > deadlineMs) break
      await sleep(intervalMs)
    }
  } finally {
    ended.abort()
  }
  throw new Error(`waited ${deadlineMs} ms for ${what}; last seen: ${seen}`, cause === undefined ? {} : { cause })
}

type Falsy = false | 0 | '' | null | undefined

async function attempt<T>(condition: () => T | Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await condition() }
  } catch (error) {
    return { error }
  }
}
