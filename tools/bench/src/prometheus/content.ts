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

/** What requests of remote write 1.0 say, and nothing of how they say it: series come in any order, and one may come in parts. */
export class Content {
  readonly #hash = createHash('sha256')
  requests = 0
  samples = 0

  add(body: Uint8Array): void {
    const decoded = WriteRequest.toObject(WriteRequest.decode(body), { longs: Number, defaults: true }) as Decoded
    const series = new Map<string, string[]>()
    for (const { labels, samples } of decoded.timeseries) {
      const key = JSON.stringify(labels.map(({ name, value }) => [name, value]).toSorted())
      let list = series.get(key)
      if (list === undefined) series.set(key, (list = []))
      for (const { value, timestamp } of samples) list.push(`${timestamp} ${value}`)
      this.samples += samples.length
    }
    for (const key of [...series.keys()].toSorted()) this.#hash.update(`${key}${String(series.get(key))}\n`)
    this.requests++
  }

  addCompressed(body: Uint8Array): void {
    this.add(snappyjs.uncompress(new Uint8Array(body)))
  }

  /** Equal for equal content. */
  digest(): string {
    return `${this.requests} requests, ${this.samples} samples, ${this.#hash.digest('hex').slice(0, 16)}`
  }
}
