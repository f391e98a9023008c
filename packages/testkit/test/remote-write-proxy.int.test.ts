import { createHash } from 'node:crypto'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import {
  debianPackageOrSkip,
  decodeRemoteWrite,
  readRemoteWriteJournal,
  respondWith,
  startPrometheus,
  startRemoteWriteProxy,
  startVictoriaMetrics,
  temporaryFolder,
  waitFor,
  type Fault,
  type RemoteWriteProxy,
  type RemoteWriteReceiver,
} from '../src/index.ts'
import { remoteWrite, remoteWriteBody, type Answer } from './remote-write-request.ts'
import { startTarget } from './target.ts'

const noPrometheus = await debianPackageOrSkip('prometheus', 'prometheus')
const noVictoriaMetrics = await debianPackageOrSkip('victoriametrics', 'victoria-metrics')

let prometheus: RemoteWriteReceiver
beforeAll(async () => {
  if (!noPrometheus) prometheus = await startPrometheus()
})
afterAll(() => prometheus?.close())

const startedAtMs = Date.now()
let names = 0
/** A series that no other test has. */
const fresh = (): string => `orders_${(names += 1)}`

const series = (name: string, value = 1): Parameters<typeof remoteWrite>[1] => [
  { labels: { __name__: name }, samples: [[startedAtMs, value]] },
]
const write = (proxy: RemoteWriteProxy, name: string): Promise<Answer> =>
  remoteWrite(proxy.remoteWriteUrl, series(name))
const stored = async (name: string): Promise<boolean> => (await prometheus.samples(name)).length > 0

test.skipIf(noPrometheus)('journals what came and what the receiver answered, in memory and in the file', async () => {
  await using folder = await temporaryFolder()
  const journalFile = join(folder.path, 'journal')
  await using proxy = await startRemoteWriteProxy({ target: prometheus.remoteWriteUrl, journalFile })
  const name = fresh()
  const headers = { Authorization: 'Bearer secret', 'X-Run': '7' }
  expect(await remoteWrite(proxy.remoteWriteUrl, series(name, 1), headers)).toMatchObject({ status: 204 })
  const refused = await remoteWrite(proxy.remoteWriteUrl, series(name, 2))
  expect(refused).toMatchObject({ status: 400, body: expect.stringContaining('duplicate sample') })
  expect(proxy.journal).toMatchObject([
    {
      number: 1,
      method: 'POST',
      path: '/api/v1/write',
      headers: { 'x-run': '7', 'content-encoding': 'snappy', authorization: '***' },
      body: remoteWriteBody(series(name, 1)),
      bodyBytes: remoteWriteBody(series(name, 1)).byteLength,
      bodySha256: createHash('sha256')
        .update(remoteWriteBody(series(name, 1)))
        .digest('hex'),
      answer: { status: 204, body: '' },
      fault: undefined,
    },
    { number: 2, body: remoteWriteBody(series(name, 2)), answer: { status: 400, body: refused.body } },
  ])
  const times = proxy.journal.flatMap(({ atNs, answer }) => [atNs, answer?.atNs ?? 0n])
  expect(times).toEqual(times.toSorted((one, other) => (one < other ? -1 : 1)))
  expect(proxy.journal.flatMap(({ body = Buffer.alloc(0) }) => decodeRemoteWrite(body))).toMatchObject([
    { labels: [['__name__', name]], samples: [{ timestampMs: startedAtMs, value: 1, bits: 0x3ff0000000000000n }] },
    { labels: [['__name__', name]], samples: [{ timestampMs: startedAtMs, value: 2, bits: 0x4000000000000000n }] },
  ])
  expect(await readRemoteWriteJournal(journalFile)).toEqual(proxy.journal)
  expect(await readFile(journalFile, 'utf8')).not.toContain('secret')
  expect(proxy.problems).toEqual([])
})

test.skipIf(noPrometheus).each<[Fault, boolean, number | undefined]>([
  [{ kind: 'delayRequest', delayMs: 20 }, true, 204],
  [{ kind: 'delayResponse', delayMs: 20 }, true, 204],
  [{ kind: 'cutBeforeApply' }, false, undefined],
  [{ kind: 'reset' }, false, undefined],
  [{ kind: 'cutAfterApply' }, true, undefined],
  [{ kind: 'resetAfterApply' }, true, undefined],
  [respondWith(503, { body: 'busy' }), false, 503],
  [respondWith(502, { body: 'busy', afterApply: true }), true, 502],
])('%j: the receiver has it or not, and the journal says so', async (fault, applied, given) => {
  await using folder = await temporaryFolder()
  const journalFile = join(folder.path, 'journal')
  const rule = { ...fault, match: ({ number }: { number: number }) => number === 2, times: 1 }
  await using proxy = await startRemoteWriteProxy({ target: prometheus.remoteWriteUrl, journalFile, plan: [rule] })
  const [before, hit, after] = [fresh(), fresh(), fresh()]
  await write(proxy, before)
  const got = await write(proxy, hit).catch(() => undefined)
  expect(got?.status).toBe(given)
  // The sender knows: by now it is written down.
  const [, journalled] = await readRemoteWriteJournal(journalFile)
  expect(journalled?.answer?.status).toBe(applied ? 204 : undefined)
  expect(journalled?.fault).toMatchObject({ kind: fault.kind, status: 'status' in fault ? fault.status : undefined })
  expect(await stored(hit)).toBe(applied)
  expect(await write(proxy, after)).toMatchObject({ status: 204 })
  expect(proxy.counters().faults[fault.kind]).toEqual({ planned: 1, fired: 1 })
  expect(proxy.counters()).toMatchObject({ requests: 3, forwarded: applied ? 3 : 2 })
  expect(proxy.problems).toEqual([])
})

test('resets are RST, after the target has applied the request', async () => {
  await using target = await startTarget()
  await using proxy = await startRemoteWriteProxy({ target: `http://127.0.0.1:${target.port}/write` })
  proxy.faults.add({ kind: 'resetAfterApply' })
  await expect(write(proxy, 'orders')).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } })
  expect(target.applied).toHaveLength(1)
})

test('a refusal says when to come back, in seconds or as a date', async () => {
  await using target = await startTarget()
  await using proxy = await startRemoteWriteProxy({ target: `http://127.0.0.1:${target.port}/write` })
  const date = new Date('2026-11-22T10:00:00Z')
  proxy.faults.add({ ...respondWith(429, { retryAfter: 2 }), times: 1 })
  proxy.faults.add({ ...respondWith(503, { retryAfter: date }), times: 1 })
  proxy.faults.add({ ...respondWith(500), times: 1 })
  proxy.faults.add({ ...respondWith(400, { body: 'out of order sample' }), times: 1 })
  const answers = []
  for (let count = 0; count < 5; count += 1) answers.push(await write(proxy, 'orders'))
  expect(answers.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual([
    [429, '2'],
    [503, 'Sun, 22 Nov 2026 10:00:00 GMT'],
    [500, null],
    [400, null],
    [200, null],
  ])
  expect(answers[3]?.body).toBe('out of order sample')
  expect(target.applied.map(({ path }) => path)).toEqual(['/write'])
})

test.skipIf(noPrometheus)('holds requests before the receiver has them, and answers after', async () => {
  await using proxy = await startRemoteWriteProxy({ target: prometheus.remoteWriteUrl })
  const [before, after, free] = [fresh(), fresh(), fresh()]
  const holdBefore = proxy.hold({ match: ({ number }) => number === 1 })
  const holdAfter = proxy.hold({ when: 'afterApply', times: 1 })
  let answered = 0
  const one = write(proxy, before).finally(() => (answered += 1))
  await waitFor(() => holdBefore.caught === 1, { what: 'the request to be held' })
  const two = write(proxy, after).finally(() => (answered += 1))
  await waitFor(() => holdAfter.caught === 1, { what: 'the answer to be held' })
  expect(await write(proxy, free)).toMatchObject({ status: 204 })
  expect(proxy.journal.map(({ answer }) => answer?.status)).toEqual([undefined, 204, 204])
  expect([await stored(before), await stored(after)]).toEqual([false, true])
  expect(answered).toBe(0)
  holdAfter.release()
  expect(await two).toMatchObject({ status: 204 })
  expect(answered).toBe(1)
  holdBefore.release()
  expect(await one).toMatchObject({ status: 204 })
  expect(await stored(before)).toBe(true)
  expect([holdBefore.caught, holdAfter.caught]).toEqual([1, 1])
})

test.skipIf(noVictoriaMetrics)('a receiver that is gone is a problem, and no answer in the journal', async () => {
  await using metrics = await startVictoriaMetrics()
  await using proxy = await startRemoteWriteProxy({ target: metrics.remoteWriteUrl, bodies: 'hashed' })
  expect(await write(proxy, 'orders')).toMatchObject({ status: 204 })
  expect(await metrics.query('orders', startedAtMs)).toMatchObject([{ value: 1 }])
  await metrics.kill()
  await expect(write(proxy, 'orders')).rejects.toThrow('fetch failed')
  expect(proxy.journal).toMatchObject([
    { body: undefined, bodySha256: expect.stringMatching(/^[0-9a-f]{64}$/), answer: { status: 204 } },
    { body: undefined, answer: undefined },
  ])
  expect(proxy.counters().targetFailures).toBe(1)
  expect(proxy.problems).toHaveLength(1)
})

test('a body above the limit does not get in, nor into the journal', async () => {
  await using target = await startTarget()
  const url = `http://127.0.0.1:${target.port}/write`
  await using proxy = await startRemoteWriteProxy({ target: url, maxBodyBytes: 100 })
  await expect(write(proxy, 'x'.repeat(200))).rejects.toThrow('fetch failed')
  expect([target.applied, proxy.journal]).toEqual([[], []])
  expect(proxy.problems).toEqual([expect.stringContaining('maxBodyBytes = 100')])
})

test('a journal is a new file; its torn last line is left out, and a damaged one is an error', async () => {
  await using target = await startTarget()
  await using folder = await temporaryFolder()
  const journalFile = join(folder.path, 'journal')
  const url = `http://127.0.0.1:${target.port}/write`
  await using proxy = await startRemoteWriteProxy({ target: url, journalFile })
  await write(proxy, 'orders')
  await expect(startRemoteWriteProxy({ target: url, journalFile })).rejects.toThrow('EEXIST')
  await appendFile(journalFile, '{"event":"requ')
  expect(await readRemoteWriteJournal(journalFile)).toEqual(proxy.journal)
  await appendFile(journalFile, '\n')
  await expect(readRemoteWriteJournal(journalFile)).rejects.toThrow(
    /journal, line 3 is not one of a remote write journal/,
  )
  await writeFile(journalFile, '{"event":"answer","number":1,"atNs":"1","status":204,"body":""}\n')
  await expect(readRemoteWriteJournal(journalFile)).rejects.toThrow('line 1 is not one of a remote write journal')
})

test('a target or a plan that cannot be is refused', async () => {
  await expect(startRemoteWriteProxy({ target: 'https://127.0.0.1/write' })).rejects.toThrow(/plain HTTP URL/)
  const target = 'http://127.0.0.1:1/write'
  await expect(startRemoteWriteProxy({ target, plan: [{ kind: 'reset', times: 0 }] })).rejects.toThrow(RangeError)
})

test.skipIf(noPrometheus)(
  'asks the hooks for each request and each answer, and journals the fault that they choose',
  async () => {
    const asked: string[] = []
    await using proxy = await startRemoteWriteProxy({
      target: prometheus.remoteWriteUrl,
      onRequest: ({ number }) => {
        asked.push(`request ${number}`)
        return number === 2 ? { kind: 'respond', status: 503 } : undefined
      },
      onResponse: ({ request: { number }, status }) => {
        asked.push(`answer ${number} ${status}`)
        return number === 3 ? { kind: 'respondAfterApply', status: 500 } : undefined
      },
    })
    const written = [fresh(), fresh(), fresh()]
    const statuses: number[] = []
    for (const name of written) statuses.push((await write(proxy, name)).status)
    expect(statuses).toEqual([204, 503, 500])
    expect(asked).toEqual(['request 1', 'answer 1 204', 'request 2', 'request 3', 'answer 3 204'])
    expect(await Promise.all(written.map(stored))).toEqual([true, false, true])
    expect(proxy.journal.map(({ fault }) => fault?.kind)).toEqual([undefined, 'respond', 'respondAfterApply'])
  },
)
