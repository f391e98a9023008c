import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryFolder } from '@sluice/testkit'
import type { BenchOptions } from '../core.ts'
import { interleave, quartiles, type Round, type Row, type Variant } from '../measure.ts'
import { rounded, roundedQuartiles } from '../prometheus/rounded.ts'
import { askReceived, forgetReceived, type Received } from './received.ts'
import { startNullServer } from './server.ts'
import { BATCH, encodeBatches, type Measures } from './shapes.ts'
import { DIRECT, RAW, SDK_TRANSPORT, STOCK, type Task, TUNED, TUNED_COMMON, type VariantName } from './task.ts'

const IN_FLIGHT = [1, 10, 50] as const
/** A shorter round would measure its beginning. */
const REQUESTS: Readonly<Record<Measures, number>> = { 3: 1000, 5: 700, 20: 280 }
const UNIT = 'thousand records per CPU-second'
const VARIANTS = [DIRECT, SDK_TRANSPORT, STOCK, TUNED, RAW] as const
/** Published for one number in flight: common attributes that the caller knows change the tuned loop alike in all of them. */
const COMMON_IN_FLIGHT = 10

interface Comparison {
  readonly ours: VariantName
  readonly peer: VariantName
  /** Where one is set: from 10 in flight and 5 measures on. */
  readonly aim?: number
}

const COMPARISONS: readonly Comparison[] = [
  { ours: DIRECT, peer: STOCK, aim: 8 },
  { ours: DIRECT, peer: TUNED, aim: 3.5 },
  { ours: DIRECT, peer: TUNED_COMMON },
  { ours: DIRECT, peer: RAW },
  { ours: SDK_TRANSPORT, peer: STOCK, aim: 1.4 },
  { ours: SDK_TRANSPORT, peer: TUNED },
]
/** So many times faster than the fastest of ours the server has to be. */
const SERVER_AIM = 3

/** Rows of a program, converted, and sent until each is confirmed. */
export async function throughputRows(measures: Measures, { rounds, progress }: BenchOptions): Promise<readonly Row[]> {
  await using server = await startNullServer()
  await using folder = await temporaryFolder()
  const rows: Row[] = []
  const file = rowsFile(folder.path, measures)
  for (const inFlight of IN_FLIGHT) {
    const name = `${measures} measures, ${inFlight} in flight`
    const received: Received[] = []
    const names: readonly VariantName[] = inFlight === COMMON_IN_FLIGHT ? [...VARIANTS, TUNED_COMMON] : VARIANTS
    const variants = names.map((variant) => variantOf(variant, { measures, inFlight, url: server.url, file }, received))
    const results = await interleave(variants, rounds, (line) => progress(`${name}: ${line}`))
    rows.push(...rowsOf(name, measures, inFlight, results, received))
  }
  return rows
}

/** One for all rounds: each decodes it anew. */
function rowsFile(folder: string, measures: Measures): string {
  const path = join(folder, `${measures}.json`)
  writeFileSync(path, encodeBatches(measures, 0, REQUESTS[measures], 'mixed').join('\n'))
  return path
}

function variantOf(variant: VariantName, options: Omit<Task, 'variant'>, receivedByDirect: Received[]): Variant {
  const { inFlight, url } = options
  return {
    name: variant,
    run: async () => {
      await forgetReceived(url)
      const round = await inProcess({ variant, ...options })
      const received = await askReceived(url)
      if (received.connections > inFlight) {
        throw new Error(`${variant} had ${received.connections} requests in flight instead of ${inFlight}`)
      }
      if (variant === DIRECT) receivedByDirect.push(received)
      return { ...round, output: received.content }
    },
  }
}

const ROUND = fileURLToPath(new URL('round.ts', import.meta.url))
const ROUND_TIMEOUT_MS = 300_000

/** A collection by force just before the clock starts would slow the beginning down, the more the faster a variant is. */
async function inProcess(task: Task): Promise<Round> {
  const { stdout } = await promisify(execFile)(process.execPath, [ROUND, JSON.stringify(task)], {
    timeout: ROUND_TIMEOUT_MS,
  })
  return JSON.parse(stdout) as Round
}

function rowsOf(
  name: string,
  measures: Measures,
  inFlight: number,
  results: ReadonlyMap<string, readonly Round[]>,
  received: readonly Received[],
): Row[] {
  const work = (REQUESTS[measures] * BATCH) / 1000
  const figures = new Map(
    [...results].map(([variant, list]) => [variant, quartiles(list.map(({ cpuSeconds }) => work / cpuSeconds))]),
  )
  const rows: Row[] = []
  for (const { ours, peer, aim } of COMPARISONS) {
    const [own, other] = [figures.get(ours), figures.get(peer)]
    if (own === undefined || other === undefined) continue
    rows.push({
      bench: 'timestream-write',
      case: `${ours}: ${name}`,
      ours: roundedQuartiles(own),
      peer: roundedQuartiles(other),
      peerName: peer,
      unit: UNIT,
      ratio: rounded(own.median / other.median),
      ...(aim !== undefined && measures > 3 && inFlight > 1 ? { aim } : {}),
    })
  }
  const direct = figures.get(DIRECT)
  if (direct === undefined) return rows
  const server = quartiles(received.map(({ cpuSeconds }) => work / cpuSeconds))
  rows.push({
    bench: 'timestream-write',
    case: `the server that only reads, of requests of 'direct': ${name}`,
    ours: roundedQuartiles(server),
    peer: roundedQuartiles(direct),
    peerName: DIRECT,
    unit: UNIT,
    ratio: rounded(server.median / direct.median),
    aim: SERVER_AIM,
  })
  return rows
}
