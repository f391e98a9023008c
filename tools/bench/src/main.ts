import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { core, CORE_PARTS } from './core.ts'
import { prometheus, PROMETHEUS_PARTS } from './prometheus.ts'
import { TIMESTREAM_PARTS, timestreamWrite } from './timestream.ts'

const BENCHES = {
  core: { run: core, parts: CORE_PARTS },
  prometheus: { run: prometheus, parts: PROMETHEUS_PARTS },
  'timestream-write': { run: timestreamWrite, parts: TIMESTREAM_PARTS },
} as const
const MIN_ROUNDS = 7

const HELP = `npm run bench -- NAME [--rounds N] [--records N]

  core        source, map, key and sink engine with 50 requests under way, beside Node object streams, async generators and a plain
              loop; delays while a checkpoint is open and of the event loop; a sink that is far too slow (about 25 minutes in all)
  prometheus  encoding for remote write beside protobufjs, compression beside snappyjs, flat records to compressed bytes and into a
              real Prometheus beside prometheus-remote-write and ready bytes (about 40 minutes in all)
  timestream-write
              rows to WriteRecords through both transports, beside the client of the AWS SDK, stock and tuned, and ready bytes;
              bytes and billed writes; time from write to confirmed (about 45 minutes in all)

  --rounds N    rounds that count, ${MIN_ROUNDS} to 100 (default ${MIN_ROUNDS})
  --records N   of core: records in a round, 1000 to 5000000 (default 4000000)
  --only PART   of core: ${CORE_PARTS.join(', ')}
                of prometheus: ${PROMETHEUS_PARTS.join(', ')}
                of timestream-write: ${TIMESTREAM_PARTS.join(', ')}

Variants take turns, in processes of their own, and the output of all must be equal. A process has done the same work before when
the clock starts, until it is as fast as it becomes; for 'cold' it has done nothing. The results are printed last, as one JSON line each:
where there is a peer, work per CPU-second, median with quartiles, and the ratio of the medians.
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: {
    rounds: { type: 'string' },
    records: { type: 'string' },
    only: { type: 'string' },
    help: { type: 'boolean' },
  },
})
const problems: string[] = []
const [name = '', ...rest] = positionals
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name as keyof typeof BENCHES] : undefined
if (bench === undefined) problems.push(`there is no bench '${name}'; there are: ${Object.keys(BENCHES).join(', ')}`)
for (const word of rest) problems.push(`unexpected argument '${word}'`)
for (const option of Object.keys(values)) {
  if (!['rounds', 'records', 'only', 'help'].includes(option)) problems.push(`unknown option '--${option}'`)
}
const rounds = integer('rounds', MIN_ROUNDS, MIN_ROUNDS, 100)
const records = integer('records', 4_000_000, 1_000, 5_000_000)
const only = values['only']
if (only !== undefined && bench !== undefined && !bench.parts.includes(String(only))) {
  problems.push(`--only must be one of ${bench.parts.join(', ')}, got '${String(only)}'`)
}

if (values['help'] === true) process.stdout.write(HELP)
else if (problems.length > 0 || bench === undefined) {
  process.stderr.write(`${problems.join('\n')}\nTry --help.\n`)
  process.exitCode = 2
} else {
  process.stderr.write(
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, node ${process.version}\n`,
  )
  const rows = await bench.run({
    rounds,
    records,
    only: only === undefined ? undefined : String(only),
    progress: (line) => process.stderr.write(`${line}\n`),
  })
  for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`)
}

function integer(option: 'rounds' | 'records', fallback: number, min: number, max: number): number {
  const text = values[option]
  if (text === undefined) return fallback
  const value = Number(text)
  if (typeof text === 'string' && Number.isInteger(value) && value >= min && value <= max) return value
  problems.push(`--${option} must be an integer from ${min} to ${max}, got '${String(text)}'`)
  return fallback
}
