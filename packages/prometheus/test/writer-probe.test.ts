import { ALL_WRITTEN } from '@sluice/core'
import { expect, test } from 'vitest'
import { SeriesTable } from '../src/series-table.ts'
import type { WriteVerdict } from '../src/classify.ts'
import type { Entry } from '../src/series.ts'
import { PROBE_METRIC, SampleProbe } from '../src/writer-probe.ts'

const reason = { code: 'test', message: 'test' }
const WRITTEN: WriteVerdict = { kind: 'written', outcome: ALL_WRITTEN, reason }
const REFUSED: WriteVerdict = { kind: 'refused', outcome: { isolate: reason }, reason }

interface Sent {
  readonly marker: Entry
  readonly answer: (verdict: WriteVerdict) => void
}

function start(): {
  readonly sent: Sent[]
  readonly ask: (destination?: string) => Promise<WriteVerdict>
  now: number
} {
  const sent: Sent[] = []
  const table = new SeriesTable({ protocol: '1.0', validation: 'normalise' })
  const stand = {
    sent,
    now: 1000,
    ask: (destination = '') =>
      probe.ask(destination, ([marker]) => {
        const { promise, resolve } = Promise.withResolvers<WriteVerdict>()
        sent.push({ marker: marker as Entry, answer: resolve })
        return promise
      }),
  }
  const clock = { now: () => 0, wallNow: () => stand.now, after: () => ({ cancel: () => true }), afterPoll: () => {} }
  const probe = new SampleProbe({ clock, series: () => table.series(PROBE_METRIC, { sink: 'one' }) })
  return stand
}

test('is a stale marker of a series of its own, for the tenant that is asked', async () => {
  const { sent, ask } = start()
  const asked = ask('tenant')
  expect(sent[0]?.marker).toMatchObject({ stale: true, timestamp: 1000, tenant: 'tenant' })
  expect(sent[0]?.marker.toJSON()).toMatchObject({ labels: { __name__: PROBE_METRIC, sink: 'one' } })
  sent[0]?.answer(WRITTEN)
  expect(await asked).toBe(WRITTEN)
})

test('goes one at a time to a destination; who asks meanwhile shares the next, and never one that was sent before', async () => {
  const { sent, ask } = start()
  const first = ask()
  const [second, third] = [ask(), ask()]
  expect(sent).toHaveLength(1)
  sent[0]?.answer(WRITTEN)
  expect(await first).toBe(WRITTEN)
  await Promise.resolve()
  expect(sent).toHaveLength(2)
  const fourth = ask()
  sent[1]?.answer(REFUSED)
  expect([await second, await third]).toStrictEqual([REFUSED, REFUSED])
  sent[2]?.answer(WRITTEN)
  expect(await fourth).toBe(WRITTEN)
  expect(sent).toHaveLength(3)
})

test('does not wait for that of another destination', () => {
  const { sent, ask } = start()
  void ask('one')
  void ask('two')
  expect(sent.map(({ marker }) => marker.tenant)).toStrictEqual(['one', 'two'])
})

test('is never older than the one before it', async () => {
  const stand = start()
  const first = stand.ask()
  stand.sent[0]?.answer(WRITTEN)
  await first
  stand.now = 500
  void stand.ask()
  expect(stand.sent[1]?.marker.timestamp).toBe(1000)
})
