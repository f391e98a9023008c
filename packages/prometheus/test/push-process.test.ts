import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Receiver } from './receiver.ts'
import { linesOf } from './writer-stand.ts'

// What a program awaits is to settle although nothing else keeps its process alive: the receiver is in another process than the program.

let receiver: Receiver

beforeEach(async () => {
  receiver = await Receiver.start()
})

afterEach(() => receiver[Symbol.asyncDispose]())

/** Runs a program with the address of the receiver as `url`; what it prints. Fails unless the program ends with code 0. */
async function run(program: string): Promise<string> {
  const imports = `
    import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
    import { Counter, Registry } from 'prom-client'
    import { pushRegistry } from ${JSON.stringify(new URL('../src/push-registry.ts', import.meta.url).href)}
    import { RemoteWriteMetricExporter } from ${JSON.stringify(new URL('../src/opentelemetry.ts', import.meta.url).href)}
    const url = ${JSON.stringify(receiver.url)}
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', imports + program], {
    timeout: 60_000,
    cwd: import.meta.dirname,
  })
  return stdout
}

const push = (options: string, program: string): string => `
  const registry = new Registry()
  const counter = new Counter({ name: 'jobs_total', help: 'x', registers: [registry] })
  const push = pushRegistry(registry, { remoteWrite: { prometheusRemoteWriteUrl: url }, ${options} })
  ${program}
`

const exporter = (options: string, program: string): string => `
  const exporter = new RemoteWriteMetricExporter({ remoteWrite: { prometheusRemoteWriteUrl: url }, ${options} })
  const provider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
  provider.getMeter('m').createCounter('jobs').add(3)
  ${program}
`

/** One export, whose result is printed. */
const made = `
  const point = { attributes: {}, value: 3, startTime: [1, 0], endTime: [2, 0] }
  const descriptor = { name: 'g', unit: '', description: '' }
  const metric = { descriptor, aggregationTemporality: 1, dataPointType: 2, dataPoints: [point] }
  const scopeMetrics = [{ scope: { name: 'm' }, metrics: [metric] }]
  exporter.export({ resource: { attributes: {} }, scopeMetrics }, ({ code }) => console.log(code))
`

const values = (): string[] => receiver.received.flatMap(linesOf).map((line) => line.replace(/ @\d+$/, ''))

describe('pushRegistry', () => {
  test('the end of a scope writes the last collection', async () => {
    const work = `
      async function main() {
        await using scoped = push
        while (push.status().written === 0) await new Promise((resolve) => setTimeout(resolve, 10))
        // The program works on until its connection is idle, which then holds nothing alive.
        while (process.getActiveResourcesInfo().includes('TCPSocketWrap')) {
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
        counter.inc(3)
      }
      main().then(() => console.log('ended'))
    `
    expect(await run(push('', work))).toBe('ended\n')
    expect(values()).toStrictEqual(['jobs_total{} 0', 'jobs_total{} 3'])
  })

  test('close repeats what is answered with 503', async () => {
    receiver.script({ status: 503 }, { status: 503 })
    await run(push('', 'await push.close()'))
    expect(values().length).toBeGreaterThan(2)
  })

  test('close ends at its deadline where nothing is answered', async () => {
    receiver.decide = () => 'silent'
    const ended = await run(push('closeDeadlineMs: 300', `await push.close(); console.log('ended')`))
    expect(ended).toBe('ended\n')
  })
})

describe('the exporter of OpenTelemetry', () => {
  test('shutdown writes stale markers, over a 503', async () => {
    let requests = 0
    const ended = new Set<string>()
    receiver.decide = (request) => {
      const markers = linesOf(request).filter((line) => line.includes(' NaN '))
      if (markers.length > 0 && requests++ === 0) return { status: 503 }
      for (const line of markers) ended.add(line.replace(/\{.*/, ''))
      return { status: 204 }
    }
    const printed = await run(
      exporter('staleMarkersOnShutdown: true', `await provider.shutdown(); console.log('ended')`),
    )
    expect(printed).toBe('ended\n')
    expect([...ended].toSorted()).toStrictEqual(['jobs_total', 'target_info'])
  })

  test('forceFlush and export await the answer, over a 503', async () => {
    receiver.script({ status: 503 })
    expect(await run(exporter('', `${made} await exporter.forceFlush()`))).toBe('0\n')
    receiver.script({ status: 503 })
    expect(await run(exporter('', made))).toBe('0\n')
  })

  test('forceFlush and shutdown end at their deadline where nothing is answered', async () => {
    receiver.decide = () => 'silent'
    const ended = await run(
      exporter(
        'shutdownDeadlineMs: 300',
        `${made}
        await exporter.forceFlush()
        console.log('flushed')
        await exporter.shutdown().catch(({ code }) => console.log(code))`,
      ),
    )
    expect(ended).toBe('flushed\n1\nSLUICE_DEADLINE_EXCEEDED\n')
  })
})
