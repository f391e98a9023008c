import { inspect } from 'node:util'

/** Every error code that Sluice packages use. The set is closed: match on `error.code`, never on the message. */
export const ERROR_CODES = [
  'SLUICE_OPTIONS_INVALID',
  'SLUICE_SPI_MISMATCH',
  'SLUICE_RECORD_REFUSED',
  'SLUICE_DEAD_LETTERS_FAILED',
  'SLUICE_DEAD_LETTER_INVALID',
  'SLUICE_POISON_STORM',
  'SLUICE_SINK_FAILED',
  'SLUICE_SOURCE_FAILED',
  'SLUICE_SOURCE_NOT_FOUND',
  'SLUICE_DESTINATION_NOT_FOUND',
  'SLUICE_ACCESS_DENIED',
  'SLUICE_POSITION_LOST',
  'SLUICE_STATE_CORRUPTED',
  'SLUICE_STATE_NEWER',
  'SLUICE_STATE_UNKNOWN_UID',
  'SLUICE_STATE_OWNED',
  'SLUICE_STATE_FENCED',
  'SLUICE_STATE_STORAGE',
  'SLUICE_CLOSED',
  'SLUICE_DEADLINE_EXCEEDED',
  'SLUICE_ADMIN_SERVER',
  'SLUICE_BATCH_CONVERTER_NOT_ALIGNED',
  'SLUICE_INTERNAL',
] as const

export type SluiceErrorCode = (typeof ERROR_CODES)[number]

export interface SluiceErrorOptions {
  readonly cause?: unknown
  /** True if a new attempt of the job may succeed without a change by a person. @default false */
  readonly restartable?: boolean
  /** Facts for programs: split, wanted, oldest, limits. Never record content and never a secret. */
  readonly facts?: Readonly<Record<string, unknown>>
}

const MARKER = Symbol.for('sluice.error')

/**
 * The one error class of all Sluice packages.
 *
 * @example
 * ```ts
 * try {
 *   await job.done
 * } catch (error) {
 *   if (SluiceError.isInstance(error) && error.code === 'SLUICE_POSITION_LOST') page(error.facts)
 * }
 * ```
 */
export class SluiceError extends Error {
  override readonly name: string = 'SluiceError'
  readonly code: SluiceErrorCode
  readonly restartable: boolean
  readonly facts: Readonly<Record<string, unknown>>

  constructor(code: SluiceErrorCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.restartable = options.restartable ?? false
    this.facts = options.facts ?? {}
    Object.defineProperty(this, MARKER, { value: true })
  }

  /** True for a SluiceError of this or of another copy of the package in the same process. */
  static isInstance(value: unknown): value is SluiceError {
    return typeof value === 'object' && value !== null && Reflect.get(value, MARKER) === true
  }

  /** A thrown value as a SluiceError: itself if it is one, else wrapped as restartable under the given code. */
  static from(value: unknown, code: SluiceErrorCode, message: string): SluiceError {
    if (SluiceError.isInstance(value)) return value
    return new SluiceError(code, `${message}: ${messageOf(value)}`, { cause: value, restartable: true })
  }
}

/** The message of whatever was thrown. */
export function messageOf(value: unknown): string {
  if (value instanceof Error) return value.message === '' ? value.name : value.message
  return typeof value === 'string' ? value : inspect(value, { depth: 1, breakLength: Infinity })
}

/** What was thrown, without its words: they may quote the record. */
export function kindOf(thrown: unknown): string {
  if (SluiceError.isInstance(thrown)) return `${thrown.name} ${thrown.code}`
  return thrown instanceof Error ? thrown.name : typeof thrown
}
