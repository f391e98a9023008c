import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { healthProblem } from '../../src/admin/server.ts'
import {
  type Job,
  JOB_METRICS,
  type JobOptions,
  type JobStatus,
  type MetricDefinition,
  MetricRegistry,
  prometheusName,
  SINK_METRICS,
  SOURCE_METRICS,
  type SubmitOutcome,
} from '../../src/index.ts'
import { prometheusText } from '../../src/metrics/prometheus-text.ts'
import {
  failure,
  Gate,
  InMemorySink,
  InMemorySource,
  never,
  settled,
  spiedStorage,
  start,
  until,
  VirtualClock,
} from '../job/harness.ts'

interface Served {
  readonly clock: VirtualClock
  readonly job: Job
  readonly source: InMemorySource<number>
  readonly gate: Gate
  readonly get: (
    path: string,
    method?: string,
  ) => Promise<{ readonly status: number; readonly body: string; readonly type: string }>
}

async function serve(given: Partial<JobOptions> = {}): Promise<Served> {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  const gate = new Gate()
  const sink = new InMemorySink<number>({ onSubmit: gate.pass, requestTimeoutMs: 1e9 })
  const job = start(source, sink, clock, { admin: { port: 0 }, restartGraceMs: 0, ...given })
  onTestFinished(async () => {
    await settled(clock, job.close()).catch(() => undefined)
  })
  await until(clock, () => job.adminUrl !== undefined && job.status().state !== 'starting')
  const base = job.adminUrl ?? ''
  return {
    clock,
    job,
    source,
    gate,
    async get(path, method = 'GET') {
      const response = await fetch(base + path, { method, signal: AbortSignal.timeout(5000) })
      return { status: response.status, body: await response.text(), type: response.headers.get('content-type') ?? '' }
    },
  }
}

describe('the admin server', () => {
  test('listens on loopback', async () => {
    const { job } = await serve()
    expect(job.adminUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  })

  test('listens where it is told to', async () => {
    const { job, get } = await serve({ admin: { port: 0, host: '::1' } })
    expect(job.adminUrl).toMatch(/^http:\/\/\[::1\]:\d+$/)
    expect((await get('/healthz')).status).toBe(200)
  })

  test('shows the status of the job as JSON', async () => {
    const { get, source, clock, job } = await serve()
    source.push('0', 1, 2)
    await until(clock, () => job.status().emitted === 2)
    const { status, body, type } = await get('/status?pretty')
    expect(status).toBe(200)
    expect(type).toBe('application/json; charset=utf-8')
    expect(JSON.parse(body)).toMatchObject({
      name: 'test',
      state: 'running',
      emitted: 2,
      unsettled: 2,
      repeatIfKilledNow: 2,
      readers: [{ splits: [{ splitId: '0', position: '2' }] }],
      sinks: { memory: { accepted: 2, inHand: 2, oldest: { reason: expect.any(String) as string } } },
      checkpoints: { completed: 1 },
    })
  })

  test('is ready when splits are assigned and every sink was reached', async () => {
    const { get, source, clock, gate } = await serve()
    expect(await get('/readyz')).toMatchObject({ status: 503, body: 'sinks not reached yet: memory\n' })
    source.push('0', 1)
    gate.open()
    await clock.advance(2000)
    expect(await get('/readyz')).toMatchObject({ status: 200, body: 'ok\n' })
  })

  test('is not ready while it drains', async () => {
    const { get, source, clock, job } = await serve()
    source.push('0', 1)
    await until(clock, () => job.status().emitted === 1)
    void job.drain()
    await clock.flush()
    expect(await get('/readyz')).toMatchObject({ status: 503, body: 'the job is draining\n' })
  })

  test('turns unhealthy when records are in hand and no checkpoint was completed for three intervals', async () => {
    const { get, source, clock, job, gate } = await serve({ checkpoints: { intervalMs: 1000 } })
    await clock.advance(10_000)
    expect(await get('/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
    source.push('0', 1)
    await until(clock, () => job.status().emitted === 1)
    await clock.advance(3000)
    expect(await get('/healthz')).toMatchObject({ status: 200 })
    await clock.advance(1001)
    const { status, body } = await get('/healthz')
    expect(status).toBe(503)
    expect(body).toMatch(
      /^no checkpoint was completed for \d+ ms; the oldest record: waiting for the answer of its request\n$/,
    )
    gate.open()
    await clock.advance(1000)
    expect(await get('/healthz')).toMatchObject({ status: 200 })
  })

  test('turns unhealthy also when each checkpoint runs into a timeout shorter than that', async () => {
    const { get, source, clock, job } = await serve({ checkpoints: { intervalMs: 1000, timeoutMs: 500 } })
    source.push('0', 1)
    await until(clock, () => job.status().emitted === 1)
    await clock.advance(10_000)
    expect(job.status().checkpoints?.failed).toBeGreaterThan(5)
    expect(await get('/healthz')).toMatchObject({ status: 503 })
  })

  test('gives the metrics in the text format of Prometheus', async () => {
    const { get, source, clock, job, gate } = await serve()
    source.push('0', 1, 2, 3)
    gate.open()
    await until(clock, () => job.status().sinks['memory']?.written === 3, 100)
    const { status, body, type } = await get('/metrics')
    expect(status).toBe(200)
    expect(type).toContain('text/plain')
    expect(body).toContain('# TYPE sluice_num_records_out_total counter')
    expect(body).toContain('sluice_num_records_out_total{job="test",sink="memory"} 3')
    expect(body).toContain('sluice_num_batches_total{job="test",sink="memory",trigger="time"} 1')
    expect(body).toContain('# TYPE sluice_repeat_if_killed_now gauge')
    for (const line of body.split('\n')) {
      expect(line).toMatch(
        /^$|^# (HELP|TYPE) sluice_[a-z0-9_]+ .+$|^sluice_[a-z0-9_]+(\{([a-z]+="[^"]*",?)+\})? [-+.\deENaInf]+$/,
      )
    }
  })

  test('says which pages there are, and takes nothing but GET and HEAD', async () => {
    const { get } = await serve()
    expect(await get('/')).toMatchObject({ status: 404, body: 'there are /healthz, /readyz, /status and /metrics\n' })
    expect(await get('/status', 'POST')).toMatchObject({ status: 405 })
    expect(await get('/healthz', 'HEAD')).toMatchObject({ status: 200, body: '' })
  })

  test('is closed when the job ends, also one that somebody holds a connection to', async () => {
    const { clock, job, get } = await serve()
    await get('/status')
    const url = job.adminUrl ?? ''
    await settled(clock, job.close())
    await expect(fetch(url)).rejects.toThrow('fetch failed')
  })

  test('is closed when the storage cannot be opened', async () => {
    const clock = new VirtualClock()
    const gate = Promise.withResolvers<never>()
    const storage = { open: () => gate.promise }
    const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, {
      admin: { port: 0 },
      checkpoints: { storage },
    })
    await until(clock, () => job.adminUrl !== undefined)
    gate.reject(new Error('no such volume'))
    await failure(clock, job.done)
    await expect(fetch(job.adminUrl ?? '')).rejects.toThrow('fetch failed')
  })

  test('of a port in use fails the job with an error that names it, before anything is read', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const job = start(source, new InMemorySink<number>(), clock, { admin: { port }, checkpoints: { storage } })
    const error = await failure(clock, job.done)
    expect(error).toMatchObject({
      code: 'SLUICE_ADMIN_SERVER',
      message: `admin server cannot listen on 127.0.0.1:${port}: the port is in use (option admin.port)`,
    })
    expect(storage.opened).toBe(0)
    expect(source.fetched).toBe(0)
    taken.close()
  })
})

test('a failed job is unhealthy, and says why', () => {
  const status = {
    state: 'failed',
    unsettled: 0,
    lastError: { code: 'SLUICE_POSITION_LOST', message: 'shard-0 is gone', attempt: 1 },
  } as unknown as JobStatus
  expect(healthProblem(status, 1000)).toBe('failed: shard-0 is gone')
})

test('without prom-client /metrics answers 404 and names the package', async () => {
  const child = fork(new URL('no-prom-client-child.ts', import.meta.url), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [answers] = (await once(child, 'message')) as unknown[]
  expect(answers).toEqual([
    { status: 404, body: 'metrics need the package prom-client: npm install prom-client\n' },
    { status: 200, body: 'ok\n' },
  ])
})

describe('names in Prometheus', () => {
  test.each([
    ['numRecordsOut', 'counter', 'sluice_num_records_out_total'],
    ['inHand', 'gauge', 'sluice_in_hand'],
    ['numWritesNonSDKRetries', 'counter', 'sluice_num_writes_non_sdk_retries_total'],
    ['millisBehindLatest', 'gauge', 'sluice_millis_behind_latest'],
    ['currentSendTime2xx', 'gauge', 'sluice_current_send_time2xx'],
  ] as const)('%s, a %s, is %s', (name, kind, expected) => {
    expect(prometheusName(name, kind)).toBe(expected)
  })

  test('are valid and different for every metric of core', () => {
    const all = [...Object.values(JOB_METRICS), ...Object.values(SINK_METRICS), ...Object.values(SOURCE_METRICS)]
    const names = all.map(({ name, kind }) => prometheusName(name, kind))
    for (const name of names) expect(name).toMatch(/^sluice_[a-z][a-z0-9_]*$/)
    expect(new Set(names).size).toBe(names.length)
  })
})

const definition = (name: string, kind: 'counter' | 'gauge'): MetricDefinition => ({
  name,
  kind,
  unit: 'records',
  help: 'h',
})

describe('the text of Prometheus', () => {
  test('bears any label value, and labels that not every sample has', async () => {
    const metrics = new MetricRegistry()
    metrics.counter(definition('a', 'counter'), { table: 'x"\n\\y' }).value = 1
    metrics.counter(definition('a', 'counter'), { other: 'z' }).value = 2
    metrics.gauge(definition('b', 'gauge'), () => Number.NaN)
    metrics.gauge(definition('c', 'gauge'), () => Number.POSITIVE_INFINITY)
    const { body } = (await prometheusText(metrics)) ?? { body: '' }
    expect(body).toContain(String.raw`sluice_a_total{table="x\"\n\\y"} 1`)
    expect(body).toContain('sluice_a_total{other="z"} 2')
    expect(body).not.toContain('sluice_b')
    expect(body).toContain('sluice_c +Inf')
  })

  test('bears two spellings of one name, and a counter beside a gauge of one name', async () => {
    const metrics = new MetricRegistry()
    metrics.counter(definition('sentSDK', 'counter')).value = 1
    metrics.counter(definition('sentSdk', 'counter'), { sink: 'b' }).value = 2
    metrics.gauge(definition('sentSDK', 'gauge'), () => 3, { sink: 'c' })
    const { body } = (await prometheusText(metrics)) ?? { body: '' }
    expect(body).toContain('sluice_sent_sdk_total 1')
    expect(body).toContain('sluice_sent_sdk_total{sink="b"} 2')
    expect(body).toContain('sluice_sent_sdk{sink="c"} 3')
  })
})

test('a sink that never answers does not keep the pages from answering', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  source.push('0', 1)
  const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>() })
  const job = start(source, sink, clock, { admin: { port: 0 }, restartGraceMs: 0 })
  await until(clock, () => job.status().emitted === 1)
  expect((await fetch(`${job.adminUrl}/healthz`)).status).toBe(200)
  await settled(clock, job.close())
})
