import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { BATCH, convertReading, type Entry, FETCH, IN_FLIGHT, type NullStore, type Reading } from './readings.ts'

/** Keeps up to 50 requests under way; the 50th makes the caller wait for an answer. */
class Window {
  readonly #store: NullStore
  #underWay = 0
  #failure: unknown
  #wake: (() => void) | undefined

  constructor(store: NullStore) {
    this.#store = store
  }

  /** Undefined when there is no need to wait. */
  send(entries: readonly Entry[]): Promise<void> | undefined {
    this.#underWay++
    const ended = (): void => {
      this.#underWay--
      this.#wake?.()
    }
    this.#store.submit(entries).then(ended, (error: unknown) => {
      this.#failure = error
      ended()
    })
    return this.#underWay < IN_FLIGHT ? undefined : this.#next()
  }

  async end(): Promise<void> {
    while (this.#underWay > 0) await this.#next()
  }

  async #next(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
    if (this.#failure !== undefined) throw this.#failure
  }
}

/** Node's object streams with the same batches and requests under way; no tokens, retries, metrics or checkpoints. */
export async function objectStreams(readings: readonly Reading[], store: NullStore): Promise<void> {
  const window = new Window(store)
  let buffer: Entry[] = []
  await pipeline(
    Readable.from(readings, { highWaterMark: FETCH }),
    new Transform({
      objectMode: true,
      highWaterMark: FETCH,
      transform(reading: Reading, _encoding, done) {
        done(null, convertReading(reading))
      },
    }),
    new Writable({
      objectMode: true,
      highWaterMark: FETCH,
      write(entry: Entry, _encoding, done) {
        buffer.push(entry)
        if (buffer.length < BATCH) return done()
        const wait = window.send(buffer)
        buffer = []
        if (wait === undefined) return done()
        settle(wait, done)
      },
      final(done) {
        void window.send(buffer)
        settle(window.end(), done)
      },
    }),
  )
}

function settle(promise: Promise<void>, done: (error?: Error | null) => void): void {
  promise.then(
    () => setImmediate(done),
    (error: Error) => setImmediate(done, error),
  )
}

/** Async generators with the same batches and requests under way. */
export async function asyncGenerators(readings: readonly Reading[], store: NullStore): Promise<void> {
  const window = new Window(store)
  async function* read(): AsyncGenerator<Reading> {
    yield* readings
  }
  async function* convert(): AsyncGenerator<Entry> {
    for await (const reading of read()) yield convertReading(reading)
  }
  let buffer: Entry[] = []
  for await (const entry of convert()) {
    buffer.push(entry)
    if (buffer.length < BATCH) continue
    const wait = window.send(buffer)
    if (wait !== undefined) await wait
    buffer = []
  }
  void window.send(buffer)
  await window.end()
}

/** The floor: a loop that converts and batches, with nothing around it. */
export async function plainLoop(readings: readonly Reading[], store: NullStore): Promise<void> {
  const window = new Window(store)
  for (let first = 0; first < readings.length; first += BATCH) {
    const wait = window.send(readings.slice(first, first + BATCH).map(convertReading))
    if (wait !== undefined) await wait
  }
  await window.end()
}
