import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { core, CORE_PARTS } from './core.ts'

const BENCHES = { core } as const
const MIN_ROUNDS = 7

const HELP = `npm run bench -- NAME [--rounds N] [--records N]

  core   source, map, key and sink engine with 50 requests under way, beside Node object streams, async generators and a plain
         loop; delays while a checkpoint is open and of the event loop; a sink that is far too slow (about 25 minutes in all)

  --rounds N    rounds of throughput that count, ${MIN_ROUNDS} to 100 (default ${MIN_ROUNDS})
  --records N   records in a round, 1000 to 5000000 (default 4000000)
  --only PART   throughput, cold, delays or slow-sink

Variants take turns, each round in a process of its own, and the output of all must be equal. For 'throughput' the process has done
the whole work once, on other records, before the clock starts; for 'cold' it has done nothing. The results are printed last, as
one JSON line each: where there is a peer, million records per CPU-second, median with quartiles, and the ratio of the medians.
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
const make = Object.hasOwn(BENCHES, name) ? BENCHES[name as keyof typeof BENCHES] : undefined
if (make === undefined) problems.push(`there is no bench '${name}'; there are: ${Object.keys(BENCHES).join(', ')}`)
for (const word of rest) problems.push(`unexpected argument '${word}'`)
for (const option of Object.keys(values)) {
  if (!['rounds', 'records', 'only', 'help'].includes(option)) problems.push(`unknown option '--${option}'`)
}
const rounds = integer('rounds', MIN_ROUNDS, MIN_ROUNDS, 100)
const records = integer('records', 4_000_000, 1_000, 5_000_000)
const only = values['only']
if (only !== undefined && !CORE_PARTS.includes(String(only))) {
  problems.push(`--only must be one of ${CORE_PARTS.join(', ')}, got '${String(only)}'`)
}

if (values['help'] === true) process.stdout.write(HELP)
else if (problems.length > 0 || make === undefined) {
  process.stderr.write(`${problems.join('\n')}\nTry --help.\n`)
  process.exitCode = 2
} else {
  process.stderr.write(
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, node ${process.version}\n`,
  )
  const rows = await make({
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
