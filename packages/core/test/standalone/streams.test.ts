import { PassThrough, Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ReadableStream } from 'node:stream/web'
import { describe, expect, test } from 'vitest'
import { fromIterable, type Message, stream, toReadable, toReadableStream } from '../../src/index.ts'
import { InMemoryGroupLog, InMemoryGroupSource, InMemorySink, VirtualClock } from '../../src/testing.ts'
import { options, range, settled, until } from '../job/harness.ts'

function group(count: number): InMemoryGroupLog<number> {
  const log = new InMemoryGroupLog<number>({ splits: ['a'] })
  log.push('a', ...range(count))
  return log
}

describe('toReadable', () => {
  test('gives messages that the end of the pipeline acknowledges', async () => {
    const log = group(500)
    log.end()
    const clock = new VirtualClock()
    const values: number[] = []
    const taking = async (incoming: AsyncIterable<Message<number>>): Promise<void> => {
      for await (const message of incoming) {
        values.push(message.value)
        message.ack()
      }
    }
    const slow = new PassThrough({ objectMode: true, highWaterMark: 50 })
    await settled(clock, pipeline(toReadable(new InMemoryGroupSource({ log }), { clock }), slow, taking))
    await clock.advance(1000)
    expect(values).toEqual(range(500))
    expect(log.committed('a')).toBe(500)
    expect(log.members).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('a pipeline that fails acknowledges what was acked, and closes the source', async () => {
    const log = group(500)
    const clock = new VirtualClock()
    const failing = new Transform({
      objectMode: true,
      transform(message: Message<number>, _encoding, callback) {
        if (message.value === 30) return callback(new Error('mine'))
        message.ack()
        callback()
      },
    })
    const piped = pipeline(toReadable(new InMemoryGroupSource({ log }), { clock }), failing)
    await expect(settled(clock, piped)).rejects.toThrow('mine')
    await clock.advance(1000)
    expect(log.committed('a')).toBe(30)
    expect(log.members).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('a failure of the source destroys it', async () => {
    const log = group(3)
    const clock = new VirtualClock()
    const readable = toReadable(new InMemoryGroupSource({ log }), { clock })
    const error = new Promise((resolve) => readable.once('error', resolve))
    readable.on('data', () => undefined)
    await clock.advance(10)
    log.failNextFetch(new Error('gone'))
    expect(await settled(clock, error)).toMatchObject({ code: 'SLUICE_SOURCE_FAILED' })
  })

  test('reads no further than its reader', async () => {
    const clock = new VirtualClock()
    const readable = toReadable(new InMemoryGroupSource({ log: group(100) }), { clock })
    readable.read(0)
    await clock.advance(100)
    expect(readable.readableLength).toBe(1)
    readable.destroy()
    await clock.advance(10_000)
    expect(clock.pendingTimers).toBe(0)
  })

  for (const taken of ['not taken out', 'taken out and not acknowledged']) {
    test(`destroyed between the end of the source and its own, closes the source: the last message is ${taken}`, async () => {
      const log = group(1)
      log.end()
      const clock = new VirtualClock()
      const readable = toReadable(new InMemoryGroupSource({ log }), { clock })
      let isReadable = false
      readable.on('readable', () => (isReadable = true))
      await until(clock, () => isReadable)
      const message = taken === 'not taken out' ? undefined : (readable.read() as Message<number>)
      // The source has ended by then.
      await clock.advance(1000)
      expect(readable.readableEnded).toBe(false)
      let isClosed = false
      readable.once('close', () => (isClosed = true)).destroy()
      await until(clock, () => isClosed)
      expect(log.members).toEqual([])
      expect(log.committed('a')).toBe(0)
      expect(message?.isReleased ?? true).toBe(true)
      expect(clock.pendingTimers).toBe(0)
    })
  }

  test('after its own end leaves the messages to whoever has them', async () => {
    const log = group(3)
    log.end()
    const clock = new VirtualClock()
    const collected: Message<number>[] = []
    const readable = toReadable(new InMemoryGroupSource({ log }), { clock })
    let isClosed = false
    readable.once('close', () => (isClosed = true)).on('data', (message: Message<number>) => collected.push(message))
    await until(clock, () => isClosed)
    expect(log.members).toHaveLength(1)
    for (const message of collected) message.ack()
    await until(clock, () => log.members.length === 0)
    expect(log.committed('a')).toBe(3)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('toReadableStream', () => {
  test('gives messages, reads nothing ahead, and a cancel closes the source', async () => {
    const log = group(100)
    const clock = new VirtualClock()
    const reader = toReadableStream(new InMemoryGroupSource({ log }), { clock }).getReader()
    await clock.advance(1000)
    expect(log.records.fetches).toBe(0)
    for (const expected of range(5)) {
      const { value } = await settled(clock, reader.read())
      expect(value?.value).toBe(expected)
      value?.ack()
    }
    await settled(clock, reader.cancel())
    expect(log.committed('a')).toBe(5)
    expect(log.members).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('ends with its source', async () => {
    const log = group(10)
    log.end()
    const clock = new VirtualClock()
    const values: number[] = []
    const all = async (): Promise<void> => {
      for await (const message of toReadableStream(new InMemoryGroupSource({ log }), { clock })) {
        values.push(message.value)
        message.ack()
      }
    }
    await settled(clock, all())
    expect(values).toEqual(range(10))
    expect(log.committed('a')).toBe(10)
  })
})

async function* oneThenError(): AsyncGenerator<number> {
  yield 1
  await Promise.reject(new Error('mine'))
}

describe('fromIterable', () => {
  const cases: readonly (readonly [string, () => AsyncIterable<number>])[] = [
    ['a Node Readable', () => Readable.from(range(2500))],
    ['a Node pipeline', () => Readable.from(range(2500)).pipe(new PassThrough({ objectMode: true }))],
    ['a web ReadableStream', () => ReadableStream.from(range(2500))],
  ]
  for (const [name, make] of cases) {
    test(`reads ${name}`, async () => {
      const sink = new InMemorySink<number>()
      const clock = new VirtualClock()
      await settled(clock, stream(fromIterable(make())).sinkTo(sink).start(options(clock)).done)
      expect(sink.stored.toSorted((a, b) => a - b)).toEqual(range(2500))
    })

    test(`closes ${name} when the job ends first`, async () => {
      const sink = new InMemorySink<number>()
      const clock = new VirtualClock()
      const iterable = make()
      const job = stream(fromIterable(iterable, { maxBatchSize: 10 }))
        .sinkTo(sink)
        .start(options(clock))
      await clock.advance(0)
      await settled(clock, job.close())
      await clock.advance(0)
      const isClosed =
        iterable instanceof Readable
          ? iterable.destroyed
          : await (iterable as ReadableStream).getReader().closed.then(() => true)
      expect(isClosed).toBe(true)
    })

    test(`the error of ${name} fails the job`, async () => {
      const clock = new VirtualClock()
      const iterable = name.includes('web') ? ReadableStream.from(oneThenError()) : Readable.from(oneThenError())
      const job = stream(fromIterable<number>(iterable)).sinkTo(new InMemorySink<number>()).start(options(clock))
      await expect(settled(clock, job.done)).rejects.toMatchObject({ code: 'SLUICE_SOURCE_FAILED' })
    })
  }
})
