import { type DeadLetter, fixedDelayRestart, fromIterable, stream } from '@sluice/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PrometheusSink } from '../src/sink.ts'
import { Receiver } from './receiver.ts'
import { holds, linesOf, record, records } from './writer-stand.ts'

let receiver: Receiver

beforeEach(async () => {
  receiver = await Receiver.start()
})

afterEach(async () => {
  await receiver[Symbol.asyncDispose]()
})

describe('in a job', () => {
  test('what the first attempt saw confirmed is not sent by the second, and all of it arrives', async () => {
    const values = Array.from({ length: 40 }, (_, at) => record('a', at))
    let count = 0
    receiver.decide = () => ({ status: ++count === 3 ? 503 : 204 })
    const sink = new PrometheusSink({
      prometheusRemoteWriteUrl: receiver.url,
      maxBatchSizeInSamples: 10,
      orderedLanes: 1,
      retryConfiguration: { maxRetryCount: 0 },
    })
    await using job = stream(fromIterable(values))
      .sinkTo(sink)
      .start({ name: 'job', restart: fixedDelayRestart({ delayMs: 1 }) })
    await job.done
    const written = receiver.received.filter((_, number) => number !== 2).flatMap(linesOf)
    expect(new Set(written)).toHaveLength(40)
    expect(written).toHaveLength(40)
    expect(job.status().sinks['prometheus']).toMatchObject({ written: 40, duplicate: 20, dropped: 0 })
  })

  test('a refused series is a dead letter where there are any', async () => {
    receiver.decide = (request) => ({ status: holds(request, 'b') ? 400 : 204 })
    const letters: DeadLetter[] = []
    const deadLetters = { deliver: (letter: DeadLetter) => Promise.resolve(void letters.push(letter)) }
    const sink = new PrometheusSink({ prometheusRemoteWriteUrl: receiver.url, orderedLanes: 1 })
    const values = [...records('abc'), { name: 'not a name', value: 1, timestamp: 1 }]
    await using job = stream(fromIterable(values)).sinkTo(sink).start({ name: 'job', deadLetters })
    await job.done
    expect(letters.map(({ stage, reason }) => `${stage} ${reason.code}`).toSorted()).toStrictEqual([
      'convert convertThrew',
      'store http400',
    ])
    expect(job.status().sinks['prometheus']).toMatchObject({ written: 2, deadLettered: 2, dropped: 0 })
  })

  test('without dead letters it is dropped, and the job goes on', async () => {
    receiver.decide = (request) => ({ status: holds(request, 'b') ? 400 : 204 })
    const sink = new PrometheusSink({ prometheusRemoteWriteUrl: receiver.url, orderedLanes: 1 })
    const values = [...records('abc'), { name: 'not a name', value: 1, timestamp: 1 }]
    await using job = stream(fromIterable(values)).sinkTo(sink).start({ name: 'job' })
    await job.done
    expect(job.status().sinks['prometheus']).toMatchObject({ written: 2, deadLettered: 0, dropped: 2 })
  })
})
