const INSPECT = Symbol.for('nodejs.util.inspect.custom')
const MARKER = Symbol.for('sluice.secret')

/** A value that never shows in logs, errors, JSON or `util.inspect`; only {@link Secret.reveal} gives it back. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
    Object.defineProperty(this, MARKER, { value: true })
    Object.defineProperty(this, INSPECT, { value: () => '[secret]' })
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }
}

/** True for a Secret of this or of another copy of the package. */
export function isSecret(value: unknown): value is Secret {
  return typeof value === 'object' && value !== null && Reflect.get(value, MARKER) === true
}
