import { spawnSync } from 'node:child_process'
import { existsSync, readlinkSync } from 'node:fs'
import { access, readdir } from 'node:fs/promises'

import { describe, expect, test } from 'vitest'

import {
  debianPackageOrSkip,
  requireOrSkip,
  spawnNode,
  startPrometheus,
  startVictoriaMetrics,
  temporaryFolder,
  waitFor,
  type RemoteWriteReceiver,
} from '../src/index.ts'
import { isRunning } from './processes.ts'
import { remoteWrite, STALE_MARKER } from './remote-write-request.ts'

const noPrometheus = await debianPackageOrSkip('prometheus', 'prometheus')
const noVictoriaMetrics = await debianPackageOrSkip('victoriametrics', 'victoria-metrics')
const noSs = requireOrSkip('ss', spawnSync('ss', ['-V']).error === undefined, 'the command ss is not there')
const parentOfReceivers = new URL('./fixtures/parent-of-receivers.ts', import.meta.url)

const SECOND_MS = 1_000
const HOUR_MS = 3_600_000

function listeningOf(pid: number): string[] {
  return spawnSync('ss', ['-Hltunp'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes(`pid=${pid},`))
    .map((line) => line.split(/\s+/)[4] ?? '')
}

/** Where a server works and keeps its data. */
const folderOf = (pid: number): string => readlinkSync(`/proc/${pid}/cwd`)

/** A zero has no sign in the answer to a remote read. */
const bitsOf = (value: number): bigint =>
  new BigUint64Array(new Float64Array([value === 0 ? 0 : value]).buffer)[0] ?? 0n

const samplesOf = async (receiver: RemoteWriteReceiver, selector: string): Promise<unknown> =>
  (await receiver.samples(selector)).map(({ samples }) => samples.map(({ timestampMs, value }) => [timestampMs, value]))

describe.each([
  { name: 'prometheus', start: startPrometheus, skip: noPrometheus },
  { name: 'victoria-metrics', start: startVictoriaMetrics, skip: noVictoriaMetrics },
])('$name', ({ name, start, skip }) => {
  test.skipIf(skip)('stores what it is sent, and gives it back by query, series and samples', async () => {
    await using receiver = await start()
    const now = Date.now()
    const labels = { __name__: 'orders', shop: 'Zürich "1", +Inf' }
    const samples = [
      [now - 3 * SECOND_MS, 1],
      [now - 2 * SECOND_MS, -2.5],
      [now - SECOND_MS, Infinity],
      [now, 4],
    ] as const
    const other = { labels: { __name__: 'other' }, samples: [[now, 7]] } as const
    expect(await remoteWrite(receiver.remoteWriteUrl, [{ labels, samples }, other])).toMatchObject({ status: 204 })
    expect(await receiver.samples('orders')).toEqual([
      { labels, samples: samples.map(([timestampMs, value]) => ({ timestampMs, value })) },
    ])
    const window = { startMs: now - 2 * SECOND_MS, endMs: now - SECOND_MS }
    expect((await receiver.samples('orders', window))[0]?.samples).toEqual([
      { timestampMs: now - 2 * SECOND_MS, value: -2.5 },
      { timestampMs: now - SECOND_MS, value: Infinity },
    ])
    expect(await receiver.query('sum(orders)', now)).toEqual([{ labels: {}, timestampMs: now, value: 4 }])
    expect(await receiver.query('orders', now - 2 * SECOND_MS)).toEqual([
      { labels, timestampMs: now - 2 * SECOND_MS, value: -2.5 },
    ])
    expect(await receiver.query('1/4', now)).toMatchObject([{ labels: {}, value: 0.25 }])
    expect(await receiver.series('{__name__=~"o.*"}')).toEqual([labels, { __name__: 'other' }])
    expect(await receiver.samples('nothing')).toEqual([])
  })

  test.skipIf(skip)('a query that it refuses is an error with its message', async () => {
    await using receiver = await start()
    await expect(receiver.query('sum(')).rejects.toThrow(/\/api\/v1\/query answered 4\d\d: .*(unclosed|parse|missing)/)
    await expect(receiver.samples('sum(')).rejects.toThrow(/answered 4\d\d/)
  })

  test.skipIf(skip || noSs)('listens on 127.0.0.1 alone, on ports of their own', async () => {
    await using first = await start()
    await using second = await start()
    expect(listeningOf(first.pid)).toEqual([`127.0.0.1:${first.port}`])
    expect(listeningOf(second.pid)).toEqual([`127.0.0.1:${second.port}`])
    await remoteWrite(first.remoteWriteUrl, [{ labels: { __name__: 'orders' }, samples: [[Date.now(), 1]] }])
    expect(await first.series('orders')).toHaveLength(1)
    expect(await second.series('orders')).toEqual([])
  })

  test.skipIf(skip)('takes up its data in the same folder, on the same port', async () => {
    await using folder = await temporaryFolder()
    const now = Date.now()
    await using first = await start({ dataFolder: folder.path })
    await remoteWrite(first.remoteWriteUrl, [{ labels: { __name__: 'orders' }, samples: [[now, 1]] }])
    expect(await samplesOf(first, 'orders')).toEqual([[[now, 1]]])
    await (name === 'prometheus' ? first.kill() : first.close())
    expect(isRunning(first.pid)).toBe(false)
    await using second = await start({ dataFolder: folder.path, port: first.port })
    expect(second.url).toBe(first.url)
    expect(await samplesOf(second, 'orders')).toEqual([[[now, 1]]])
    await second.close()
    expect(await readdir(folder.path)).not.toEqual([])
  })

  test.skipIf(skip)('a taken port, an unknown flag and a late server are one clear error each', async () => {
    await using receiver = await start()
    await expect(start({ port: receiver.port })).rejects.toThrow(
      `${name} cannot listen on 127.0.0.1:${receiver.port}: EADDRINUSE`,
    )
    await expect(start({ args: ['--no-such-flag'] })).rejects.toThrow(
      /ended \(code \d\).*its last output:\n.*no-such-flag/s,
    )
    await expect(start({ readyDeadlineMs: 1 })).rejects.toThrow(/waited 1 ms|within 1 ms/)
  })

  test.skipIf(skip)('close ends the process and takes its data away, and may be repeated', async () => {
    const receiver = await start()
    const folder = folderOf(receiver.pid)
    await access(folder)
    expect(receiver.log.length).toBeGreaterThan(0)
    await receiver.close()
    await receiver.close()
    expect(isRunning(receiver.pid)).toBe(false)
    await expect(access(folder)).rejects.toThrow('ENOENT')
  })
})

test.skipIf(noPrometheus || noVictoriaMetrics)(
  'receivers end, and their data goes, when their parent is killed',
  async () => {
    await using parent = await spawnNode(parentOfReceivers)
    const pids = (await parent.line(/^pids/, 15_000)).split(' ').slice(1).map(Number)
    expect(pids.map(isRunning)).toEqual([true, true])
    const folders = pids.map(folderOf)
    for (const folder of folders) await access(folder)
    // A stopped process cannot end itself.
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    parent.kill('SIGKILL')
    await parent.exit
    await waitFor(() => !pids.some(isRunning), { what: `processes ${pids.join(', ')} to end`, deadlineMs: 5_000 })
    await waitFor(() => !folders.some((folder) => existsSync(folder)), { what: `${folders.join(', ')} to go` })
  },
)

describe('what differs', () => {
  const orders = { __name__: 'orders' }

  test.skipIf(noPrometheus)('prometheus gives floats bit for bit, and shows no stale marker', async () => {
    await using prometheus = await startPrometheus()
    const now = Date.now()
    const values = [0.1 + 0.2, -0, 5e-324, Number.MAX_VALUE, Math.PI, 1 / 3, -Infinity, Number.NaN, 2 ** 53 + 2]
    const samples = values.map((value, index) => [now - 20 * SECOND_MS + index, value] as const)
    const ending = [...samples, [now, STALE_MARKER]] as const
    expect(await remoteWrite(prometheus.remoteWriteUrl, [{ labels: orders, samples: ending }])).toMatchObject({
      status: 204,
    })
    const [exact] = await prometheus.exactSamples(orders)
    expect(exact?.labels).toEqual(orders)
    expect(exact?.samples.map(({ timestampMs, bits }) => [timestampMs, bits])).toEqual(
      ending.map(([timestampMs, value]) => [timestampMs, typeof value === 'bigint' ? value : bitsOf(value)]),
    )
    const [stored] = await prometheus.samples('orders')
    expect(stored?.samples.map(({ value }) => value)).toEqual(values)
    expect(await prometheus.query('orders', now - SECOND_MS)).toMatchObject([{ value: 2 ** 53 + 2 }])
    expect(await prometheus.query('orders', now)).toEqual([])
  })

  test.skipIf(noPrometheus)('prometheus gives many series exactly, by some of their labels', async () => {
    await using prometheus = await startPrometheus()
    const now = Date.now()
    const sent = Array.from({ length: 500 }, (_, index) => ({
      labels: { __name__: 'stock', item: `item-${String(index).padStart(3, '0')}`, shop: index % 2 === 0 ? 'a' : 'b' },
      samples: Array.from({ length: 20 }, (__, step) => [now - (20 - step) * SECOND_MS, index + step / 7] as const),
    }))
    expect(await remoteWrite(prometheus.remoteWriteUrl, sent)).toMatchObject({ status: 204 })
    const read = await prometheus.exactSamples({ __name__: 'stock', shop: 'b' })
    expect(
      read.map(({ labels, samples }) => ({ labels, samples: samples.map((one) => [one.timestampMs, one.value]) })),
    ).toEqual(sent.filter(({ labels }) => labels.shop === 'b'))
    const last = await prometheus.exactSamples({ __name__: 'stock' }, { startMs: now - SECOND_MS, endMs: now })
    expect(last.flatMap(({ samples }) => samples)).toHaveLength(500)
    expect(await prometheus.exactSamples({ __name__: 'none' })).toEqual([])
  })

  test.skipIf(noPrometheus)('prometheus refuses an older sample, and takes it within the window', async () => {
    const now = Date.now()
    const older = [{ labels: orders, samples: [[now - SECOND_MS, 1]] }] as const
    await using strict = await startPrometheus()
    await remoteWrite(strict.remoteWriteUrl, [{ labels: orders, samples: [[now, 2]] }])
    expect(await remoteWrite(strict.remoteWriteUrl, older)).toMatchObject({
      status: 400,
      body: expect.stringContaining('out of order sample'),
    })
    await using windowed = await startPrometheus({ outOfOrderTimeWindow: '10m' })
    await remoteWrite(windowed.remoteWriteUrl, [{ labels: orders, samples: [[now, 2]] }])
    expect(await remoteWrite(windowed.remoteWriteUrl, older)).toMatchObject({ status: 204 })
    expect(await samplesOf(windowed, 'orders')).toEqual([
      [
        [now - SECOND_MS, 1],
        [now, 2],
      ],
    ])
    const tooOld = [{ labels: orders, samples: [[now - HOUR_MS, 1]] }] as const
    expect((await remoteWrite(windowed.remoteWriteUrl, tooOld)).status).toBeGreaterThanOrEqual(400)
    await expect(startPrometheus({ outOfOrderTimeWindow: '10 m' })).rejects.toThrow(RangeError)
  })

  test.skipIf(noVictoriaMetrics)('victoria-metrics takes any order, and shows repeats and stale markers', async () => {
    await using metrics = await startVictoriaMetrics()
    const now = Date.now()
    const write = (atMs: number, value: number | bigint): Promise<unknown> =>
      remoteWrite(metrics.remoteWriteUrl, [{ labels: orders, samples: [[atMs, value]] }])
    await write(now - SECOND_MS, 2)
    await write(now - HOUR_MS, 1)
    await write(now - SECOND_MS, 2)
    await write(now, STALE_MARKER)
    expect(await samplesOf(metrics, 'orders')).toEqual([
      [
        [now - HOUR_MS, 1],
        [now - SECOND_MS, 2],
        [now - SECOND_MS, 2],
        [now, Number.NaN],
      ],
    ])
  })
})
