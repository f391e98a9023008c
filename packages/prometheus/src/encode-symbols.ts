import type { Label } from './model.ts'
import { METRIC_NAME } from './series-layout.ts'
import type { Series } from './series.ts'
import { WireBuffer } from './wire-buffer.ts'

/** Texts that are remembered from request to request, at most, give or take those of one request. */
const MAX_SYMBOLS = 131_072
const SYMBOLS = 0x22

/** A text of requests. Its `index` means nothing unless the request under way has it there. */
export interface WireSymbol {
  readonly text: string
  index: number
}

/** The symbols of one request after another: each text is in it once, and '' is the first. */
export class SymbolTable {
  /** The field `symbols` of the request under way. */
  readonly out: WireBuffer = new WireBuffer()
  #known = new Map<string, WireSymbol>()
  /** Stands for all that are in `#known`: what was cached under another one is looked up anew. */
  #token: object = {}
  readonly #used: WireSymbol[] = []
  #count = 0

  begin(): void {
    if (this.#known.size > MAX_SYMBOLS) {
      this.#known = new Map()
      this.#token = {}
      this.#used.length = 0
    }
    this.out.reset()
    this.#count = 0
    this.refOfText('')
  }

  /** The symbols of a series' labels: name, value, name, value. */
  symbolsOf(series: Series): readonly WireSymbol[] {
    const { symbols } = series
    if (symbols !== undefined && series.symbolsOf === this.#token) return symbols
    const made: WireSymbol[] = []
    for (const position of series.layout.order) {
      const name = position === METRIC_NAME ? '__name__' : series.layout.nameAt(position)
      made.push(this.#symbol(name), this.#symbol(series.valueAt(position)))
    }
    series.symbols = made
    series.symbolsOf = this.#token
    return made
  }

  ref(symbol: WireSymbol): number {
    const { index } = symbol
    if (index < this.#count && this.#used[index] === symbol) return index
    const next = this.#count++
    this.#used[next] = symbol
    symbol.index = next
    this.out.stringField(SYMBOLS, symbol.text)
    return next
  }

  refOfText(text: string): number {
    return this.ref(this.#symbol(text))
  }

  /** Writes `repeated uint32 labels_refs = 1`. */
  labels(out: WireBuffer, labels: readonly Label[], scratch: WireBuffer): void {
    if (labels.length === 0) return
    scratch.reset()
    for (const { name, value } of labels) {
      scratch.uint32(this.refOfText(name))
      scratch.uint32(this.refOfText(value))
    }
    out.messageField(0x0a, scratch)
  }

  #symbol(text: string): WireSymbol {
    let symbol = this.#known.get(text)
    if (symbol === undefined) {
      symbol = { text, index: 0 }
      this.#known.set(text, symbol)
    }
    return symbol
  }
}
