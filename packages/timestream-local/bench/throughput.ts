/**
 * Measures how many records per second the server takes over HTTP on one core: the host metrics of the sample that
 * Amazon ships with its Timestream connectors, 8 dimensions and 20 measures, 100 records a request. The server is a
 * process of its own that is held to core 0; this process makes the requests and is held to core 1. A round ends when the
 * rows are in DuckDB and were counted there. One JSON line per round and one with the medians are printed. On a machine
 * that does other work, records per second of the server's processor time say more than records per second.
 *
 * Needs Linux, `taskset`, two cores, and a build:
 * `node bench/throughput.ts [--rounds 5] [--requests 1000] [--common] [--discard] [--spaced]`. `--spaced` writes requests
 * with spaces between tokens, as the SDK for Python does.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { DATABASE, requestBody, TABLE } from './requests.ts'

const CLI = join(import.meta.dirname, '../dist/cli.js')
const CONNECTIONS = 8
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '1000' },
    common: { type: 'boolean', default: false },
    discard: { type: 'boolean', default: false },
    spaced: { type: 'boolean', default: false },
  },
})

interface Round {
  readonly records: number
  readonly megabytes: number
  readonly seconds: number
  readonly recordsPerSecond: number
  readonly serverCpuSeconds: number
  readonly recordsPerServerCpuSecond: number
  readonly serverMemoryMiB: number
}

async function startServer(): Promise<{ readonly endpoint: string; readonly process: ChildProcess }> {
  const options = ['--port', '0', ...(values.discard ? ['--discard'] : [])]
  const child = spawn('taskset', ['-c', '0', process.execPath, CLI, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const endpoint = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const found = /http:\/\/[\d.]+:\d+/.exec(output)
      if (found !== null) resolve(found[0])
    })
    child.once('close', (code) => reject(new Error(`The server ended with code ${code}.`)))
  })
  return { endpoint, process: child }
}

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })

function post(endpoint: string, operation: string, body: Buffer | string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      'x-amz-target': `Timestream_20181101.${operation}`,
      'content-type': 'application/x-amz-json-1.0',
      'content-length': Buffer.byteLength(body),
    }
    const sent = request(endpoint, { method: 'POST', agent, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function memoryMiB(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)
}

async function countRows(endpoint: string): Promise<number> {
  const QueryString = `SELECT count(*) FROM "${DATABASE}"."${TABLE}"`
  const answer = JSON.parse(await post(endpoint, 'Query', JSON.stringify({ QueryString }))) as {
    readonly Rows: readonly { readonly Data: readonly { readonly ScalarValue: string }[] }[]
  }
  return Number(answer.Rows[0]?.Data[0]?.ScalarValue)
}

async function run(): Promise<void> {
  execFileSync('taskset', ['-cp', '1', String(process.pid)], { stdio: 'ignore' })
  const server = await startServer()
  const pid = server.process.pid ?? 0
  const rounds: Round[] = []
  try {
    await post(server.endpoint, 'CreateDatabase', JSON.stringify({ DatabaseName: DATABASE }))
    await post(server.endpoint, 'CreateTable', JSON.stringify({ DatabaseName: DATABASE, TableName: TABLE }))
    const fromMs = Date.now() - 3_600_000
    const perRound = Number(values.requests)
    for (let round = 0; round < Number(values.rounds); round++) {
      const bodies = Array.from({ length: perRound }, (_, i) =>
        Buffer.from(requestBody(round * perRound + i, fromMs, { common: values.common, spaced: values.spaced })),
      )
      const bytes = bodies.reduce((sum, { length }) => sum + length, 0)
      const cpuBefore = cpuSeconds(pid)
      const startedNs = process.hrtime.bigint()
      let next = 0
      let ingested = 0
      const connection = async (): Promise<void> => {
        for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) {
          const answer = await post(server.endpoint, 'WriteRecords', body)
          ingested += Number(/"Total":(\d+)/.exec(answer)?.[1])
        }
      }
      await Promise.all(Array.from({ length: CONNECTIONS }, connection))
      // What was answered must be in DuckDB as well: filling it is part of the work.
      const rows = values.discard ? ingested : await countRows(server.endpoint)
      const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
      const cpu = cpuSeconds(pid) - cpuBefore
      const sent = perRound * 100
      if (ingested !== sent || (!values.discard && rows !== sent * (round + 1))) {
        throw new Error(`Sent ${sent} records, ${ingested} were ingested, the table has ${rows} rows.`)
      }
      rounds.push({
        records: sent,
        megabytes: Math.round(bytes / 1e6),
        seconds,
        recordsPerSecond: Math.round(sent / seconds),
        serverCpuSeconds: cpu,
        recordsPerServerCpuSecond: Math.round(sent / cpu),
        serverMemoryMiB: memoryMiB(pid),
      })
      process.stdout.write(`${JSON.stringify({ round, ...rounds.at(-1), load: loadavg()[0] })}\n`)
    }
  } finally {
    server.process.kill('SIGTERM')
    agent.destroy()
  }
  const median = (name: keyof Round): number =>
    rounds.map((round) => round[name]).sort((a, b) => a - b)[rounds.length >> 1] ?? 0
  const summary = {
    case: 'timestream-local-throughput',
    common: values.common,
    discard: values.discard,
    spaced: values.spaced,
    rounds: rounds.length,
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    load: loadavg()[0],
    recordsPerSecond: median('recordsPerSecond'),
    recordsPerServerCpuSecond: median('recordsPerServerCpuSecond'),
  }
  process.stdout.write(`${JSON.stringify(summary)}\n`)
}

await run()
