import { debianPackageOrSkip, type RemoteWriteReceiver, startRemoteWriteProxy } from '@sluice/testkit'
import type { DeadLetter } from '@sluice/core'
import { seededRandom } from '@sluice/core/testing'
import { describe, expect, test } from 'vitest'
import { RemoteWriteClient } from '../src/client.ts'
import type { ValidationPolicy } from '../src/model.ts'
import type { SeriesLike } from '../src/options-sink.ts'
import { type Malformed, malformedCases, NOW, PRIOR } from './malformed.ts'
import { RECEIVERS, type ReceiverName, startReceiver } from './receivers.ts'

const GOOD_PER_BAD = 100
const BATCH = 100
/** Halving a batch of 100 for one culprit takes 14; one that is answered with 500 is sent three times before. */
const REQUESTS_PER_BAD = 40
const DEADLINE_MS = 120_000

const skipped: Readonly<Record<ReceiverName, boolean>> = {
  prometheus: await debianPackageOrSkip('prometheus', 'prometheus'),
  'prometheus with an out-of-order window': await debianPackageOrSkip('prometheus', 'prometheus'),
  'victoria-metrics': await debianPackageOrSkip('victoriametrics', 'victoria-metrics'),
}
const policies: readonly ValidationPolicy[] = ['normalise', 'strict', 'off']

describe.each(RECEIVERS)('%s', (name) => {
  test.skipIf(skipped[name]).for(policies)(
    'stores every good series beside malformed ones, 1 in 100, and every bad one is reported: validation %s',
    { timeout: DEADLINE_MS },
    async (validation) => {
      await using receiver = await startReceiver(name)
      await using proxy = await startRemoteWriteProxy({ target: receiver.remoteWriteUrl, bodies: 'hashed' })
      await seed(receiver)
      const bad = malformedCases(validation)
      const good = bad.flatMap((_, block) => goodSeries(block))
      const letters: DeadLetter[] = []
      const client = new RemoteWriteClient({
        prometheusRemoteWriteUrl: proxy.remoteWriteUrl,
        validation,
        maxBatchSizeInSamples: BATCH,
        retryConfiguration: { initialRetryDelayMS: 5, maxRetryDelayMS: 100 },
        deadLetters: {
          deliver: (letter) => {
            letters.push(letter)
            return Promise.resolve()
          },
        },
      })
      for (const series of mixed(good, bad)) await client.write(series)
      await client.close()
      const requests = proxy.journal.length
      expect(requests).toBeLessThanOrEqual(good.length / BATCH + bad.length * REQUESTS_PER_BAD)
      const refused = bad.filter((each) => isRefused(each, name, validation))
      expect(letters.map((letter) => caseOf(letter, bad)).toSorted()).toStrictEqual(
        refused.map(({ what }) => what).toSorted(),
      )
      const stored = await receiver.samples('good')
      expect(new Set(stored.map(({ labels, samples }) => `${labels['id']} ${JSON.stringify(samples)}`))).toStrictEqual(
        new Set(good.map(({ id, value }) => `${id} ${JSON.stringify([{ timestampMs: NOW, value }])}`)),
      )
      if (validation === 'off') return
      for (const { what, stored: expected } of bad.filter((each) => !refused.includes(each))) {
        if (expected === undefined) continue
        const [found] = await receiver.samples(expected.selector)
        const values = found?.samples.map(({ value }) => value)
        expect([what, found?.labels['empty'], values]).toStrictEqual([what, undefined, [...expected.values]])
      }
    },
  )
})

interface Good {
  readonly id: string
  readonly value: number
  readonly series: SeriesLike
}

function goodSeries(block: number): readonly Good[] {
  return Array.from({ length: GOOD_PER_BAD }, (_, index) => {
    const id = `${block}-${index}`
    const value = block * 1000 + index
    return { id, value, series: { name: 'good', labels: { id }, value, timestamp: NOW } }
  })
}

/** In each hundred good ones one bad one, at a place that the seed chooses. */
function mixed(good: readonly Good[], bad: readonly Malformed[]): readonly SeriesLike[] {
  const random = seededRandom(1)
  return bad.flatMap(({ series }, block) => {
    const part = good.slice(block * GOOD_PER_BAD, (block + 1) * GOOD_PER_BAD).map((each) => each.series)
    return part.toSpliced(Math.trunc(random() * part.length), 0, series)
  })
}

/** What another process has written before. */
async function seed(receiver: RemoteWriteReceiver): Promise<void> {
  await using client = new RemoteWriteClient({ prometheusRemoteWriteUrl: receiver.remoteWriteUrl })
  await client.write(PRIOR)
}

function isRefused(
  { byUs, byStrict = byUs, by }: Malformed,
  name: ReceiverName,
  validation: ValidationPolicy,
): boolean {
  if (by.includes(name)) return true
  return validation === 'off' ? false : validation === 'strict' ? byStrict : byUs
}

/** Each case has values of its own. */
function caseOf({ value, entry }: DeadLetter, bad: readonly Malformed[]): string {
  const text = JSON.stringify(entry ?? value)
  return bad.find(({ mark }) => text.includes(String(mark)))?.what ?? `nobody's: ${text}`
}
