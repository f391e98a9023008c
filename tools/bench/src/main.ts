import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { coreVariants } from './core.ts'
import { interleave, quartiles } from './measure.ts'

const BENCHES = { core: coreVariants } as const
const MIN_ROUNDS = 7

const HELP = `npm run bench -- NAME [--rounds N] [--records N]

  core   source, map and sink engine with 50 requests under way, beside Node object streams, async generators and a plain loop

  --rounds N    rounds that count, ${MIN_ROUNDS} to 100 (default ${MIN_ROUNDS})
  --records N   records in a round, 1000 to 10000000 (default 500000)

Variants take turns; the output of all must be equal. One JSON line for each pair is printed last: million records per
CPU-second, median with quartiles, and the ratio of the medians.
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: { rounds: { type: 'string' }, records: { type: 'string' }, help: { type: 'boolean' } },
})
const problems: string[] = []
const [name = '', ...rest] = positionals
const make = Object.hasOwn(BENCHES, name) ? BENCHES[name as keyof typeof BENCHES] : undefined
if (make === undefined) problems.push(`there is no bench '${name}'; there are: ${Object.keys(BENCHES).join(', ')}`)
for (const word of rest) problems.push(`unexpected argument '${word}'`)
for (const option of Object.keys(values)) {
  if (!['rounds', 'records', 'help'].includes(option)) problems.push(`unknown option '--${option}'`)
}
const rounds = integer('rounds', MIN_ROUNDS, MIN_ROUNDS, 100)
const records = integer('records', 500_000, 1_000, 10_000_000)

if (values['help'] === true) process.stdout.write(HELP)
else if (problems.length > 0 || make === undefined) {
  process.stderr.write(`${problems.join('\n')}\nTry --help.\n`)
  process.exitCode = 2
} else {
  await run(name, make(records))
}

async function run(bench: string, variants: ReturnType<typeof coreVariants>): Promise<void> {
  process.stderr.write(
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, node ${process.version}\n`,
  )
  const results = await interleave(variants, rounds, (line) => process.stderr.write(`${line}\n`))
  const speeds = new Map(
    [...results].map(([variant, list]) => [
      variant,
      quartiles(list.map(({ cpuSeconds }) => records / cpuSeconds / 1e6)),
    ]),
  )
  const [ours, ...peers] = [...speeds]
  for (const [peerName, peer] of peers) {
    const row = {
      bench,
      case: `${records} records, batches of 100, 50 in flight`,
      ours: rounded(ours?.[1]),
      peer: rounded(peer),
      peerName,
      unit: 'million records per CPU-second',
      ratio: round((ours?.[1].median ?? Number.NaN) / peer.median),
    }
    process.stdout.write(`${JSON.stringify(row)}\n`)
  }
}

function integer(option: 'rounds' | 'records', fallback: number, min: number, max: number): number {
  const text = values[option]
  if (text === undefined) return fallback
  const value = Number(text)
  if (typeof text === 'string' && Number.isInteger(value) && value >= min && value <= max) return value
  problems.push(`--${option} must be an integer from ${min} to ${max}, got '${String(text)}'`)
  return fallback
}

function rounded(speed: { median: number; lower: number; upper: number } | undefined): object | null {
  if (speed === undefined) return null
  return { median: round(speed.median), lower: round(speed.lower), upper: round(speed.upper) }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
