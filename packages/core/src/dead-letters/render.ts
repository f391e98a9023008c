/** Characters of all strings and names of one rendering, about. */
const MAX_CHARACTERS = 32 * 1024
const MAX_STRING = 8 * 1024
const MAX_ITEMS = 1000
const MAX_DEPTH = 16

/**
 * A value of a user as JSON can hold it, for people: bounded in depth and size, and never throwing, since a letter must be
 * deliverable whatever was refused. What JSON has not (bigint, bytes, NaN, cycles, functions) becomes text that says so.
 */
export function render(value: unknown): unknown {
  return new Renderer().render(value, 0)
}

/** Cuts a text, and says how much is missing. */
export function shortened(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}[... ${text.length - limit} more characters]`
}

class Renderer {
  #left = MAX_CHARACTERS
  readonly #above = new Set<object>()

  render(value: unknown, depth: number): unknown {
    if (typeof value === 'string' || typeof value === 'bigint') return this.#text(String(value))
    if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
    if (value === null || typeof value === 'boolean') return value
    return typeof value === 'object' ? this.#object(value, depth) : `[${typeof value}]`
  }

  #object(value: object, depth: number): unknown {
    if (this.#above.has(value)) return '[circular]'
    if (depth >= MAX_DEPTH) return '[deeper]'
    if (this.#left <= 0) return '[not shown]'
    this.#above.add(value)
    try {
      return this.#inside(value, depth + 1)
    } catch {
      return '[not readable]'
    } finally {
      this.#above.delete(value)
    }
  }

  #inside(value: object, depth: number): unknown {
    if (ArrayBuffer.isView(value)) return this.#bytes(value)
    if (value instanceof Error) return { name: this.#text(value.name), message: this.#text(value.message) }
    const toJson: unknown = Reflect.get(value, 'toJSON')
    if (typeof toJson === 'function') return this.render(Reflect.apply(toJson, value, []), depth)
    if (Array.isArray(value)) return this.#list(value, depth, value.length)
    if (value instanceof Set) return this.#list(value, depth, value.size)
    if (value instanceof Map) return this.#list(value, depth, value.size)
    return this.#fields(value, depth)
  }

  #list(items: Iterable<unknown>, depth: number, length: number): unknown[] {
    const shown: unknown[] = []
    for (const item of items) {
      if (shown.length === MAX_ITEMS || this.#left <= 0) {
        shown.push(`[... ${length - shown.length} more]`)
        break
      }
      this.#left--
      shown.push(this.render(item, depth))
    }
    return shown
  }

  #fields(value: object, depth: number): Record<string, unknown> {
    const shown: Record<string, unknown> = {}
    const names = Object.keys(value)
    for (const [index, name] of names.entries()) {
      if (index === MAX_ITEMS || this.#left <= 0) {
        shown['...'] = `[${names.length - index} more]`
        break
      }
      // Defined, not assigned: a field called __proto__ must stay one.
      Object.defineProperty(shown, this.#text(name), {
        value: this.#field(value, name, depth),
        enumerable: true,
        configurable: true,
        writable: true,
      })
    }
    return shown
  }

  /** A getter that throws spoils its own field alone. */
  #field(value: object, name: string, depth: number): unknown {
    let field: unknown
    try {
      field = Reflect.get(value, name)
    } catch {
      return '[not readable]'
    }
    return this.render(field, depth)
  }

  #bytes(view: ArrayBufferView): unknown {
    const limit = Math.max(0, Math.min(view.byteLength, Math.floor((Math.min(this.#left, MAX_STRING) * 3) / 4)))
    const base64 = Buffer.from(view.buffer, view.byteOffset, limit).toString('base64')
    this.#left -= base64.length
    return { base64, bytes: view.byteLength }
  }

  #text(text: string): string {
    const limit = Math.max(0, Math.min(MAX_STRING, this.#left))
    this.#left -= Math.min(text.length, limit) + 1
    return shortened(text, limit)
  }
}
