import { resolve as resolvePath } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { DeadLetterRecord } from '../dead-letters/record.ts'
import { messageOf } from '../errors.ts'
import { deadline, systemClock } from '../runtime/clock.ts'
import { UsageError } from './command.ts'

/** A user's module: its default export takes records in order and resolves when they are stored. */
export interface ReplayTarget {
  /** Rejects also when the module does not answer in time. */
  send(records: readonly DeadLetterRecord[]): Promise<void>
  close(): Promise<void>
}

/** @throws UsageError when the module cannot be loaded or exports no function. */
export async function loadTarget(path: string, timeoutMs: number): Promise<ReplayTarget> {
  let module: Readonly<Record<string, unknown>>
  try {
    module = (await import(pathToFileURL(resolvePath(path)).href)) as typeof module
  } catch (error) {
    throw new UsageError(`--to ${path} cannot be loaded: ${messageOf(error)}`)
  }
  const { default: send, close } = module
  if (typeof send !== 'function') throw new UsageError(`--to ${path} must have a function as its default export`)
  if (close !== undefined && typeof close !== 'function') throw new UsageError(`close of ${path} must be a function`)
  return {
    send: (records) => inTime(async () => void (await Reflect.apply(send, undefined, [records])), timeoutMs),
    close: () => inTime(async () => void (await close?.()), timeoutMs),
  }
}

async function inTime(run: () => Promise<void>, timeoutMs: number): Promise<void> {
  const { promise: expired, reject } = Promise.withResolvers<never>()
  const expiry = deadline(systemClock, timeoutMs, () =>
    reject(new Error(`no answer within ${timeoutMs} ms (--timeout)`)),
  )
  try {
    await Promise.race([run(), expired])
  } finally {
    expiry.cancel()
  }
}
