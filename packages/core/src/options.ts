import { inspect } from 'node:util'
import { SluiceError } from './errors.ts'
import { isSecret } from './secret.ts'

type Shape = Readonly<Record<string, unknown>>

/**
 * Collects every problem of an options object, so that a user sees all of them at once.
 *
 * @example
 * ```ts
 * const check = new OptionsCheck('TimestreamSink', options, ['databaseName', 'maxBatchSize'])
 * check.string('databaseName')
 * check.integer('maxBatchSize', { min: 1, max: 100 })
 * check.throwIfAny()
 * ```
 */
export class OptionsCheck {
  readonly #owner: string
  readonly #options: Shape
  readonly #path: string
  readonly #problems: string[] = []

  /**
   * @param known - every option name; another one is a problem, with the nearest known name as a hint.
   * @param path - where a nested object lies: `checkpoints.`
   */
  constructor(owner: string, options: unknown, known: readonly string[], path = '') {
    this.#owner = owner
    this.#path = path
    if (typeof options !== 'object' || options === null || Array.isArray(options)) {
      this.#options = {}
      this.#problems.push(`${path === '' ? 'options' : path.slice(0, -1)} must be an object, got ${describe(options)}`)
      return
    }
    this.#options = options as Shape
    for (const name of Object.keys(this.#options)) {
      if (!known.includes(name)) this.problem(`unknown option '${path}${name}'${hint(name, known, path)}`)
    }
  }

  /** What was found so far: for an options object that is nested in another. */
  get problems(): readonly string[] {
    return this.#problems
  }

  /** Adds a problem in the caller's own words: name the rule and the value. */
  problem(text: string): void {
    this.#problems.push(text)
  }

  /** Adds a problem that names option, rule, value and type. */
  refuse(name: string, rule: string): void {
    this.#problems.push(`${this.#path}${name} must be ${rule}, got ${describe(this.#options[name])}`)
  }

  integer(
    name: string,
    limits: { readonly min?: number; readonly max?: number; readonly required?: boolean } = {},
  ): void {
    const value = this.#options[name]
    if (value === undefined && limits.required !== true) return
    const { min = 1, max = Number.MAX_SAFE_INTEGER } = limits
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      this.refuse(
        name,
        max === Number.MAX_SAFE_INTEGER ? `an integer from ${min} up` : `an integer from ${min} to ${max}`,
      )
    }
  }

  string(
    name: string,
    rule: { readonly required?: boolean; readonly pattern?: RegExp; readonly says?: string } = {},
  ): void {
    const value = this.#options[name]
    if (value === undefined && rule.required !== true) return
    if (typeof value !== 'string' || value === '' || (rule.pattern !== undefined && !rule.pattern.test(value))) {
      this.refuse(name, rule.says ?? 'a non-empty string')
    } else if (!value.isWellFormed()) this.refuse(name, 'a well-formed string')
  }

  boolean(name: string): void {
    const value = this.#options[name]
    if (value !== undefined && typeof value !== 'boolean') this.refuse(name, 'a boolean')
  }

  function(name: string, required = false): void {
    const value = this.#options[name]
    if (value === undefined && !required) return
    if (typeof value !== 'function') this.refuse(name, 'a function')
  }

  oneOf(name: string, values: readonly unknown[]): void {
    const value = this.#options[name]
    if (value !== undefined && !values.includes(value)) {
      this.refuse(name, `one of ${values.map((v) => inspect(v)).join(', ')}`)
    }
  }

  /** @throws SluiceError `SLUICE_OPTIONS_INVALID` that lists every problem, if there is any. */
  throwIfAny(): void {
    if (this.#problems.length === 0) return
    const list = this.#problems.map((problem) => `\n  - ${problem}`).join('')
    throw new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `${this.#owner}: ${this.#problems.length} invalid option(s):${list}`,
      {
        facts: { owner: this.#owner, problems: [...this.#problems] },
      },
    )
  }
}

/** Whether limits can be compared; what else they are is a problem of their own, and a symbol or a bigint would throw. */
export function areNumbers(...limits: readonly unknown[]): boolean {
  return limits.every((limit) => typeof limit === 'number')
}

function describe(value: unknown): string {
  if (isSecret(value)) return 'a Secret'
  if (value === null || value === undefined) return String(value)
  // Nothing of what is inside an object: it may be a password.
  const shown = inspect(value, { depth: -1, breakLength: Infinity, maxStringLength: 60 })
  return `${shown} (${Array.isArray(value) ? 'array' : typeof value})`
}

function hint(name: string, known: readonly string[], path: string): string {
  const lower = name.toLowerCase()
  const near = known.find((other) => other.toLowerCase() === lower || distanceAtMostTwo(other.toLowerCase(), lower))
  return near === undefined ? '' : `; did you mean '${path}${near}'?`
}

function distanceAtMostTwo(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 2) return false
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution))
    }
    previous = current
  }
  return (previous[b.length] ?? 3) <= 2
}
