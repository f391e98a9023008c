import { expect, test } from 'vitest'
import type { WriteVerdict } from '../src/classify.ts'
import { SeriesTable } from '../src/series-table.ts'
import { Entry } from '../src/series.ts'
import { ServerErrorJudge } from '../src/writer-judge.ts'
import { PROBE_METRIC } from '../src/writer-probe.ts'
import type { RequestSender } from '../src/writer-sender.ts'
import { EntryStates } from '../src/writer-states.ts'

const reason = { code: 'http429', message: 'slow down' }

test('after a probe was told to wait, none is sent to that destination before that time', async () => {
  let now = 0
  const asked: string[] = []
  const busy: WriteVerdict = { kind: 'busy', outcome: { retryAll: reason, afterMs: 5000 }, reason }
  const send: RequestSender['send'] = (_, destination) => {
    asked.push(destination)
    return Promise.resolve(busy)
  }
  const table = new SeriesTable({ protocol: '1.0', validation: 'normalise' })
  const judge = new ServerErrorJudge({
    clock: { now: () => now, wallNow: () => now, after: () => ({ cancel: () => true }), afterPoll: () => {} },
    states: new EntryStates(),
    sender: { send } as RequestSender,
    isolateAfterServerErrors: 1,
    maxRetryCount: 0,
    maxDelayMs: 1,
    series: () => table.series(PROBE_METRIC, undefined),
  })
  const answered = async (destination: string): Promise<string> => {
    const entries = [new Entry(table.series('up', undefined), 1, 1, 0, false, undefined)]
    const signal = new AbortController().signal
    return (await judge.judge({ entries, destination, signal, isAlone: true, sentAt: judge.now() })).verdict
  }
  expect([await answered('a'), await answered('a'), await answered('b')]).toStrictEqual([
    'unclear',
    'unclear',
    'unclear',
  ])
  expect(asked).toStrictEqual(['a', 'b'])
  now = 5000
  await answered('a')
  expect(asked).toStrictEqual(['a', 'b', 'a'])
})
