import type { SinkWriter } from '@sluice/core'
import type { PrometheusSinkOptions, SeriesLike } from '../src/options-sink.ts'
import { PrometheusSink } from '../src/sink.ts'
import { lines } from './decode.ts'
import { Harness, until } from './harness.ts'
import { type Command, type Received, Receiver } from './receiver.ts'

/** What timestamps count from. */
export const T = 1_700_000_000_000

/** A writer before a receiver that answers as it is told. */
export class WriterStand implements AsyncDisposable {
  readonly receiver: Receiver
  readonly harness = new Harness()
  #writer: SinkWriter<SeriesLike> | undefined

  private constructor(receiver: Receiver) {
    this.receiver = receiver
  }

  static async start(): Promise<WriterStand> {
    return new WriterStand(await Receiver.start())
  }

  get writer(): SinkWriter<SeriesLike> {
    if (this.#writer === undefined) throw new Error('nothing was written')
    return this.#writer
  }

  /** Writes, and waits until nothing is in hand. The first call makes the writer, with these options. */
  async write(values: readonly SeriesLike[], options: Partial<PrometheusSinkOptions> = {}): Promise<void> {
    this.#writer ??= new PrometheusSink<SeriesLike>({
      prometheusRemoteWriteUrl: this.receiver.url,
      retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 2, maxRetryCount: 5 },
      ...options,
    }).createWriter(this.harness.context)
    const writer = this.#writer
    await this.harness.write(writer, values)
    await until('nothing is in hand', () => writer.status().inHand === 0 || this.harness.failures.length > 0)
  }

  /** The samples of each request. */
  get requests(): readonly (readonly string[])[] {
    return this.receiver.received.map(linesOf)
  }

  /** Refuses requests that hold one of these hosts, a letter each. */
  refusing(bad: string, command: Command = { status: 400, text: 'out of bounds' }): void {
    this.receiver.decide = (request) => (holds(request, bad) ? command : { status: 204 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.close(0)
    await this.receiver[Symbol.asyncDispose]()
  }
}

/** The samples of a request, one line each. */
export function linesOf({ body, headers }: Received): readonly string[] {
  return lines(body, headers['content-type'])
}

/** Whether a request holds one of these hosts, a letter each. */
export function holds(request: Received, hosts: string): boolean {
  return linesOf(request).some((line) => Array.from(hosts).some((host) => line.includes(`host=${host}`)))
}

export function record(host: string, timestamp: number, value = 1): SeriesLike {
  return { name: 'up', labels: { host }, value, timestamp: T + timestamp }
}

/** One for each host: names of one letter may be given as one text. */
export function records(...hosts: readonly string[]): readonly SeriesLike[] {
  const [letters = ''] = hosts
  const names = hosts.length === 1 ? Array.from(letters) : hosts
  return names.map((host, index) => record(host, index))
}
