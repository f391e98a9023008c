import { spawnNode, startPrometheus } from '@sluice/testkit'
import type { BenchOptions } from '../core.ts'
import { rounded, roundedQuartiles } from './rounded.ts'
import { interleave, quartiles, type Quartiles, type Round, type Row, type Variant } from '../measure.ts'
import { endOf, OURS, RAW, REAL_PEERS, REAL_REQUESTS, REAL_VARIANTS, type RealTask, ROUND_MS } from './real-round.ts'
import { Variants } from './tasks.ts'
import { RUN_LABEL, type Shape } from './workload.ts'

const AIM = 3.5
const SHAPES: readonly Shape[] = [
  { series: 500, samples: 1, labels: 8, newPercent: 0, isShuffled: false },
  { series: 100, samples: 5, labels: 8, newPercent: 0, isShuffled: false },
]

interface Receiver extends AsyncDisposable {
  readonly name: string
  readonly url: string
  /** What it has received in a round: equal for all variants. */
  received(variant: string, round: number): Promise<string>
}

/** Flat records into a server, with all that our client does by default, beside the other client and bytes that are ready. */
export async function realRows({ rounds, progress }: BenchOptions): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const shape of SHAPES) {
    for (const start of [nullReceiver, prometheusReceiver]) {
      await using receiver = await start()
      const name = `into ${receiver.name}: ${shape.series} series x ${shape.samples}, ${shape.labels + 1} labels`
      const { url } = receiver
      const tasks = REAL_VARIANTS.map((variant): RealTask => ({ part: 'real', variant, shape, url }))
      await using variants = new Variants(tasks, ['--expose-gc'])
      const checked = variants.list.map((variant) => withReceived(variant, receiver))
      const results = await interleave(checked, rounds, (line) => progress(`${name}: ${line}`))
      rows.push(...rowsOf(name, results, REAL_REQUESTS * shape.series * shape.samples))
    }
  }
  return rows
}

/** The output of a round is what has arrived too. */
function withReceived(variant: Variant, receiver: Receiver): Variant {
  const { name } = variant
  let next = 0
  return {
    name,
    run: async () => {
      const round = await variant.run()
      return { ...round, output: `${round.output}; received: ${await receiver.received(name, next++)}` }
    },
  }
}

async function prometheusReceiver(): Promise<Receiver> {
  const server = await startPrometheus()
  return {
    name: 'Prometheus',
    url: server.remoteWriteUrl,
    async received(variant, round) {
      const stored = `{${RUN_LABEL}="${variant}"}[${ROUND_MS / 1000}s]`
      const [count] = await server.query(`sum(count_over_time(${stored}))`, endOf(round))
      // Eighths of integers: their sum is exact in any order.
      const [sum] = await server.query(`sum(sum_over_time(${stored}))`, endOf(round))
      return `${String(count?.value)} samples, sum ${String(sum?.value)}`
    },
    [Symbol.asyncDispose]: () => server.close(),
  }
}

async function nullReceiver(): Promise<Receiver> {
  const child = await spawnNode(new URL('null-server.ts', import.meta.url))
  const port = /\d+/.exec(await child.line(/listening/, 30_000))?.[0] ?? ''
  const url = `http://127.0.0.1:${port}/`
  return {
    name: 'a server that only reads',
    url,
    async received() {
      const response = await fetch(url, { signal: AbortSignal.timeout(120_000) })
      const { content } = (await response.json()) as { content: string }
      return content
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  }
}

function rowsOf(name: string, results: ReadonlyMap<string, readonly Round[]>, samples: number): Row[] {
  const figures = (variant: string, of: (round: Round) => number): Quartiles =>
    roundedQuartiles(quartiles((results.get(variant) ?? []).map(of)))
  const cpu = (variant: string): Quartiles => figures(variant, ({ cpuSeconds }) => (cpuSeconds * 1e6) / samples)
  const wall = (variant: string): Quartiles => figures(variant, ({ wallSeconds }) => samples / wallSeconds / 1000)
  const rows: Row[] = []
  const [strongest] = REAL_PEERS.toSorted((a, b) => cpu(a).median - cpu(b).median)
  for (const peerName of [...REAL_PEERS, RAW]) {
    const [ours, peer] = [cpu(OURS), cpu(peerName)]
    const isAimedAt = name.includes('Prometheus') && peerName === strongest
    rows.push({
      bench: 'prometheus',
      case: name,
      ours,
      peer,
      peerName,
      unit: 'microseconds of client CPU per sample, less is better',
      ratio: rounded(peer.median / ours.median),
      ...(isAimedAt ? { aim: AIM } : {}),
    })
  }
  for (const peerName of [...REAL_PEERS, RAW]) {
    const [ours, peer] = [wall(OURS), wall(peerName)]
    rows.push({
      bench: 'prometheus',
      case: `wall time ${name}`,
      ours,
      peer,
      peerName,
      unit: 'thousand samples per second',
      ratio: rounded(ours.median / peer.median),
    })
  }
  return rows
}
