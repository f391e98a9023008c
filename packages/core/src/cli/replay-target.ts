import { resolve as resolvePath } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { DeadLetterRecord } from '../dead-letters/record.ts'
import { messageOf } from '../errors.ts'
import { deadline, systemClock } from '../runtime/clock.ts'
import { UsageError } from './command.ts'

/** A module may connect before it is ready, or wait for ever. */
const LOAD_TIMEOUT_MS = 30_000

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
    const { href } = pathToFileURL(resolvePath(path))
    module = await inTime(async () => (await import(href)) as typeof module, LOAD_TIMEOUT_MS, '')
  } catch (error) {
    throw new UsageError(`--to ${path} cannot be loaded: ${messageOf(error)}`)
  }
  const { close } = module
  const send = defaultOf(module)
  if (typeof send !== 'function') throw new UsageError(`--to ${path} must have a function as its default export`)
  if (close !== undefined && typeof close !== 'function') throw new UsageError(`close of ${path} must be a function`)
  return {
    send: (records) => inTime(async () => void (await Reflect.apply(send, undefined, [records])), timeoutMs),
    close: () => inTime(async () => void (await close?.()), timeoutMs),
  }
}

/** What a compiler made CommonJS of `export default` has it one level down. */
function defaultOf({ default: given }: Readonly<Record<string, unknown>>): unknown {
  if (typeof given !== 'object' || given === null) return given
  return Reflect.get(given, '__esModule') === true ? Reflect.get(given, 'default') : given
}

async function inTime<T>(run: () => Promise<T>, timeoutMs: number, option = ' (--timeout)'): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>()
  const expiry = deadline(systemClock, timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms${option}`)))
  try {
    return await Promise.race([run(), expired])
  } finally {
    expiry.cancel()
  }
}
