import { type Sink, type SinkContext, SPI_VERSION, type WriteBatch } from '../../src/index.ts'
import { InMemorySink } from '../../src/testing.ts'

export interface Taken {
  readonly value: unknown
  readonly key: number | undefined
  readonly byteLength: number
}

export interface NotingSink extends Sink<unknown> {
  /** What it was given, in order. */
  readonly taken: Taken[]
  /** What the context said. */
  keyed: unknown
  hasDeadLetters: unknown
}

/**
 * A sink that settles what it takes at once and keeps no order of its own.
 *
 * @param most - values that it takes with the next write, at most.
 * @param ready - when it takes more.
 */
export function noting(
  most: () => number = () => Number.POSITIVE_INFINITY,
  ready: () => Promise<void> = () => Promise.resolve(),
  uid = 'noting',
): NotingSink {
  const inner = new InMemorySink<unknown>()
  const sink: NotingSink = {
    spiVersion: SPI_VERSION,
    uid,
    repeats: 'duplicated',
    taken: [],
    keyed: 'not asked',
    hasDeadLetters: 'not asked',
    createWriter(context: SinkContext) {
      sink.keyed = context.keyed
      sink.hasDeadLetters = context.hasDeadLetters
      const writer = inner.createWriter(context)
      return Object.assign(writer, {
        ready,
        write(batch: WriteBatch<unknown>, from: number, to: number): number {
          const end = Math.min(to, from + most())
          for (let index = from; index < end; index++) {
            const [value, key] = [batch.values[index], batch.keys?.[index]]
            sink.taken.push({ value, key, byteLength: batch.byteLengths[index] ?? Number.NaN })
            context.settlement.settle(batch.tokens[index] ?? Number.NaN)
          }
          return end
        },
      })
    },
  }
  return sink
}
