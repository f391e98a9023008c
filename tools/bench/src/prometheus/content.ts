import { createHash } from 'node:crypto'
import protobuf from 'protobufjs'
import snappyjs from 'snappyjs'

const PROTO = `
syntax = "proto3";
message WriteRequest { repeated TimeSeries timeseries = 1; }
message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; }`

interface Decoded {
  readonly timeseries: readonly {
    readonly labels: readonly { readonly name: string; readonly value: string }[]
    readonly samples: readonly { readonly value: number; readonly timestamp: number }[]
  }[]
}

const WriteRequest = protobuf.parse(PROTO).root.lookupType('WriteRequest')

/** What requests of remote write 1.0 say, and nothing of how they say it: in which order, and in how many requests. */
export class Content {
  readonly #series = new Map<string, string[]>()
  readonly #without: string | undefined
  #samples = 0

  /** @param without - a label that is not looked at. */
  constructor(without?: string) {
    this.#without = without
  }

  add(body: Uint8Array): void {
    const decoded = WriteRequest.toObject(WriteRequest.decode(body), { longs: Number, defaults: true }) as Decoded
    for (const { labels, samples } of decoded.timeseries) {
      const seen = labels.filter(({ name }) => name !== this.#without)
      const key = seen
        .map(({ name, value }) => JSON.stringify([name, value]))
        .toSorted()
        .join()
      let list = this.#series.get(key)
      if (list === undefined) this.#series.set(key, (list = []))
      for (const { value, timestamp } of samples) list.push(`${timestamp} ${value}`)
      this.#samples += samples.length
    }
  }

  addCompressed(body: Uint8Array): void {
    this.add(snappyjs.uncompress(new Uint8Array(body)))
  }

  /** Equal for equal content. */
  digest(): string {
    const hash = createHash('sha256')
    for (const key of [...this.#series.keys()].toSorted()) {
      hash.update(`${key}${String(this.#series.get(key)?.toSorted())}\n`)
    }
    return `${this.#samples} samples, ${hash.digest('hex').slice(0, 16)}`
  }
}
