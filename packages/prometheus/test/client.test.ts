import { type DeadLetter, MetricRegistry, SluiceError } from '@sluice/core'
import { VirtualClock } from '@sluice/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RemoteWriteClient } from '../src/client.ts'
import type { RemoteWriteClientOptions } from '../src/client-options.ts'
import { InvalidSeriesError } from '../src/problems.ts'
import { decode } from './decode.ts'
import { Receiver } from './receiver.ts'
import { holds, linesOf } from './writer-stand.ts'

const T = 1_700_000_000_000

let receiver: Receiver
let client: RemoteWriteClient | undefined

beforeEach(async () => {
  receiver = await Receiver.start()
})

afterEach(async () => {
  await client?.abort()
  await receiver[Symbol.asyncDispose]()
})

function open(options: Partial<RemoteWriteClientOptions> = {}): RemoteWriteClient {
  client = new RemoteWriteClient({
    prometheusRemoteWriteUrl: receiver.url,
    retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 2, maxRetryCount: 3 },
    ...options,
  })
  return client
}

function stored(): readonly string[] {
  return receiver.received.flatMap(linesOf)
}

describe('RemoteWriteClient', () => {
  test('writes series, flat records and what handles are given', async () => {
    const writing = open()
    const idle = writing.series({ name: 'cpu', labels: { mode: 'idle', Host: 'a' } })
    await idle.add(1, T)
    await idle.add(2, T + 1)
    await writing.write({ name: 'up', labels: { host: 'a' }, value: 1, timestamp: T })
    await writing.write([
      { metricName: 'mem', samples: [{ value: 3, timestamp: T }] },
      { name: 'up', labels: { host: 'b' }, value: 0, timestamp: T },
    ])
    await writing.flush()
    expect(stored().toSorted()).toStrictEqual([
      `cpu{Host=a,mode=idle} 1 @${T}`,
      `cpu{Host=a,mode=idle} 2 @${T + 1}`,
      `mem{} 3 @${T}`,
      `up{host=a} 1 @${T}`,
      `up{host=b} 0 @${T}`,
    ])
    await writing.close()
    await writing.done
  })

  test('a handle has the time of now unless it is told another', async () => {
    const writing = open()
    const before = Date.now()
    await writing.series({ name: 'up' }).add(1)
    await writing.close()
    const [request] = receiver.received
    const [series] = decode(request?.body ?? Buffer.of(0), undefined)
    expect(series?.samples[0]?.timestamp).toBeGreaterThanOrEqual(before)
    expect(series?.samples[0]?.timestamp).toBeLessThanOrEqual(Date.now())
  })

  test('a handle and a flat record of one series are one series', async () => {
    const writing = open({ orderedLanes: 1 })
    await writing.series({ name: 'up', labels: { a: '1', b: '2' } }).add(1, T)
    await writing.write({ name: 'up', labels: { b: '2', a: '1' }, value: 2, timestamp: T + 1 })
    await writing.close()
    const [request] = receiver.received
    expect(decode(request?.body ?? Buffer.of(0), undefined)).toHaveLength(1)
  })

  test('a handle outlives what is remembered of series', async () => {
    const writing = open()
    const idle = writing.series({ name: 'cpu', labels: { mode: 'idle' }, metadata: { type: 'counter' } })
    const before = idle.series
    await idle.add(1, T)
    for (let other = 0; !before.isEvicted; other++) writing.series({ name: 'many', labels: { other: String(other) } })
    await idle.add(2, T + 1)
    expect(idle.series).not.toBe(before)
    expect(idle.series).toMatchObject({ isEvicted: false, labels: before.labels, metadata: { type: 'counter' } })
    expect(writing.series({ name: 'cpu', labels: { mode: 'idle' } }).series).toBe(idle.series)
    await writing.close()
    expect(stored()).toStrictEqual([`cpu{mode=idle} 1 @${T}`, `cpu{mode=idle} 2 @${T + 1}`])
  })

  test('what is wrong with labels, values and times is thrown at once', () => {
    const writing = open()
    expect(() => writing.series({ name: 'not a name' })).toThrow(InvalidSeriesError)
    const up = writing.series({ name: 'up' })
    expect(() => up.add('1' as unknown as number, T)).toThrow(TypeError)
    expect(() => up.add(1, T + 0.5)).toThrow('a timestamp must be an integer')
    expect(() => writing.markStale(up, Number.NaN)).toThrow('a timestamp must be an integer')
  })

  test('flush and close tell what ended it', async () => {
    receiver.decide = () => ({ status: 403 })
    const writing = open()
    await writing.series({ name: 'up' }).add(1, T)
    await expect(writing.flush()).rejects.toMatchObject({ code: 'SLUICE_ACCESS_DENIED' })
    await expect(writing.close()).rejects.toMatchObject({ code: 'SLUICE_ACCESS_DENIED' })
    await expect(writing.done).rejects.toBeInstanceOf(SluiceError)
  })

  test('a refused series is dropped without dead letters, and no other is', async () => {
    receiver.decide = (request) => ({ status: holds(request, 'b') ? 400 : 204 })
    const metrics = new MetricRegistry()
    const writing = open({ metrics, orderedLanes: 1 })
    for (const host of 'abc') await writing.series({ name: 'up', labels: { host } }).add(1, T)
    await writing.flush()
    // What flush does not tell.
    expect(writing.status().sinks['prometheus']).toMatchObject({ written: 2, dropped: 1, inHand: 0 })
    const dropped = metrics.collect().find(({ definition }) => definition.name === 'numSamplesNonRetriableDropped')
    expect(dropped).toMatchObject({ value: 1, labels: { group: 'Prometheus' } })
    await writing.close()
  })

  test('with dead letters it becomes one, which can be read', async () => {
    receiver.decide = (request) => ({ status: holds(request, 'b') ? 400 : 204 })
    const letters: DeadLetter[] = []
    const deadLetters = { deliver: (letter: DeadLetter) => Promise.resolve(void letters.push(letter)) }
    const writing = open({ deadLetters, orderedLanes: 1 })
    for (const host of 'abc') await writing.series({ name: 'up', labels: { host } }).add(1, T)
    await writing.flush()
    expect(letters).toHaveLength(1)
    expect(letters[0]).toMatchObject({
      stage: 'store',
      reason: { code: 'http400' },
      entry: { labels: { __name__: 'up', host: 'b' }, samples: [{ value: 1, timestamp: T }] },
    })
    await writing.close()
  })

  test('with dead letters and DISCARD_AND_CONTINUE it is dropped', async () => {
    receiver.decide = () => ({ status: 400 })
    const letters: DeadLetter[] = []
    const deadLetters = { deliver: (letter: DeadLetter) => Promise.resolve(void letters.push(letter)) }
    const writing = open({
      deadLetters,
      errorHandlingBehaviourConfiguration: { onPrometheusNonRetryableError: 'DISCARD_AND_CONTINUE' },
    })
    await writing.series({ name: 'up' }).add(1, T)
    await writing.flush()
    expect(letters).toStrictEqual([])
    await writing.close()
  })

  test('all problems of the options are told', () => {
    const wrong = { prometheusRemoteWriteUrl: 5, staleMarkersOnClose: 'yes', maxUnsetled: 1, elementConverter() {} }
    expect(() => new RemoteWriteClient(wrong as never)).toThrow(
      /RemoteWriteClient: 4 invalid.*maxUnsettled.*elementConverter.*staleMarkersOnClose.*prometheusRemoteWriteUrl/s,
    )
    expect(() => new RemoteWriteClient(undefined as never)).toThrow(SluiceError)
  })

  test('those of openSink among them', () => {
    const wrong = {
      prometheusRemoteWriteUrl: receiver.url,
      staleMarkersOnClose: 5,
      maxUnsettled: 0,
      closeDeadlineMs: -1,
      name: 5,
      metrics: 2,
      restart: 1,
      deadLetters: 3,
    }
    expect(() => new RemoteWriteClient(wrong as never)).toThrow(
      /RemoteWriteClient: 7 invalid.*staleMarkersOnClose.*maxUnsettled.*closeDeadlineMs.*name.*metrics.*restart.*deadLetters/s,
    )
  })
})

describe('stale markers', () => {
  const MARKER = '7ff0000000000002'
  const ONE = '3ff0000000000000'

  test('on demand, of a handle and of labels', async () => {
    const writing = open({ orderedLanes: 1 })
    const up = writing.series({ name: 'up' })
    await up.add(1, T)
    await writing.markStale(up, T + 1)
    await writing.markStale({ name: 'down' }, T + 2)
    await writing.close()
    expect(bits()).toStrictEqual(
      new Map([
        ['up', [`${ONE}@0`, `${MARKER}@1`]],
        ['down', [`${MARKER}@2`]],
      ]),
    )
  })

  test('on close, of every series that is alive, later than all of it', async () => {
    const future = Date.now() - T + 60_000
    const writing = open({ staleMarkersOnClose: true, orderedLanes: 1 })
    const ended = writing.series({ name: 'ended' })
    await ended.add(1, T)
    await writing.markStale(ended, T + 1)
    await writing.series({ name: 'handle' }).add(1, T + future)
    await writing.write({ metricName: 'list', samples: [0, 2].map((at) => ({ value: 1, timestamp: T + future + at })) })
    await writing.close()
    expect(bits().get('ended')).toStrictEqual([`${ONE}@0`, `${MARKER}@1`])
    expect(bits().get('handle')).toStrictEqual([`${ONE}@${future}`, `${MARKER}@${future + 1}`])
    expect(bits().get('list')?.at(-1)).toBe(`${MARKER}@${future + 3}`)
  })

  test('not on close unless it was asked for', async () => {
    const writing = open()
    await writing.series({ name: 'up' }).add(1, T)
    await writing.close()
    expect(stored()).toHaveLength(1)
  })

  test('a receiver that is gone does not keep a client from closing: one deadline is for all of it', async () => {
    receiver.decide = () => 'silent'
    const clock = new VirtualClock(T)
    const writing = open({ staleMarkersOnClose: true, closeDeadlineMs: 2000, clock })
    await writing.series({ name: 'up' }).add(1, T)
    const closing = writing.close().then(
      () => 'closed',
      (error: unknown) => error,
    )
    await clock.advance(2000)
    expect(await closing).toMatchObject({
      code: 'SLUICE_DEADLINE_EXCEEDED',
      message: expect.stringContaining('2000 ms (closeDeadlineMs)') as string,
      facts: { unsettled: 1 },
    })
  })
})

/** The bits of the values that were sent, by series. */
function bits(): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, string[]>()
  for (const { body } of receiver.received) {
    for (const { labels, samples } of decode(body, undefined)) {
      const name = labels['__name__'] ?? ''
      const list = all.get(name) ?? []
      all.set(name, list)
      for (const { value, timestamp } of samples) {
        const view = new DataView(new ArrayBuffer(8))
        view.setFloat64(0, value)
        list.push(`${view.getBigUint64(0).toString(16)}@${timestamp - T}`)
      }
    }
  }
  return all
}
