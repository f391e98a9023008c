import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, expect, test, vi } from 'vitest'
import { type Logger, MetricRegistry, silentLogger } from '../../src/index.ts'
import { watchEventLoopDelay } from '../../src/runtime/event-loop-delay.ts'

const WAIT = { timeout: 15_000, interval: 10 }

const undo: Disposable[] = []

afterEach(() => {
  for (const watch of undo.splice(0)) watch[Symbol.dispose]()
})

function start(windowMs: number) {
  const warnings: { readonly fields: Readonly<Record<string, unknown>>; readonly message: string }[] = []
  const warn: Logger['warn'] = (fields, message) => warnings.push({ fields: { ...fields }, message })
  const metrics = new MetricRegistry()
  const watch = watchEventLoopDelay({
    job: 'orders',
    logger: { ...silentLogger, warn },
    metrics: metrics.group({ job: 'orders' }),
    steps: ['map #1'],
    windowMs,
  })
  undo.push(watch)
  const p99 = (): number | undefined => metrics.collect()[0]?.value
  return { watch, warnings, metrics, p99 }
}

function holdTheLoop(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

test('has no value before the first window ends', () => {
  const { metrics } = start(3_600_000)
  expect(metrics.collect()).toEqual([])
})

test('a loop that is held up shows, and is warned of once a minute with what to look at', async () => {
  const { warnings, metrics, p99 } = start(100)
  let holds = 0
  const hold = setInterval(() => {
    holds++
    holdTheLoop(250)
  }, 1)
  try {
    await vi.waitFor(() => expect(p99()).toBeGreaterThan(100), WAIT)
    const [sample] = metrics.collect()
    expect(sample?.definition.name).toBe('eventLoopDelayP99Ms')
    expect(sample?.labels).toEqual({ job: 'orders' })
    // Each outlasts a window.
    const first = holds
    await vi.waitFor(() => expect(holds).toBeGreaterThan(first + 3), WAIT)
    expect(warnings).toEqual([
      {
        fields: { job: 'orders', eventLoopDelayP99Ms: expect.any(Number), windowMs: 100, steps: ['map #1'] },
        message: expect.stringContaining('event loop is held up'),
      },
    ])
  } finally {
    clearInterval(hold)
  }
})

test('after disposing nothing is measured, reported or warned of', async () => {
  const { watch, warnings, metrics } = start(20)
  await vi.waitFor(() => expect(metrics.collect()).toHaveLength(1), WAIT)
  watch[Symbol.dispose]()
  watch[Symbol.dispose]()
  expect(metrics.collect()).toEqual([])
  for (let round = 0; round < 3; round++) {
    holdTheLoop(150)
    // A window that went on would have ended by now: its timer is due before this one, and it reports in the phase that follows.
    await new Promise((resolve) => setTimeout(resolve, 1))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(warnings).toEqual([])
})

test('does not keep the process alive', async () => {
  const url = new URL('../../src', import.meta.url)
  const script = `
    import { watchEventLoopDelay } from '${url.href}/runtime/event-loop-delay.ts'
    import { MetricRegistry } from '${url.href}/metrics/registry.ts'
    import { silentLogger } from '${url.href}/logger.ts'
    watchEventLoopDelay({ job: 'j', logger: silentLogger, metrics: new MetricRegistry(), steps: [] })
    console.log('started')`
  const arguments_ = ['--input-type=module-typescript', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, arguments_, {
    timeout: 15_000,
    cwd: fileURLToPath(url),
  })
  expect(stdout).toBe('started\n')
})
