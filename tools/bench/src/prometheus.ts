import type { BenchOptions } from './core.ts'
import { interleave, type Quartiles, quartiles, type Round, type Row } from './measure.ts'
import { compressWork } from './prometheus/compress-round.ts'
import { encodeWork } from './prometheus/encode-round.ts'
import { FLAT_PEERS, FLAT_REQUESTS } from './prometheus/flat-round.ts'
import { realRows } from './prometheus/real.ts'
import { rounded, roundedQuartiles } from './prometheus/rounded.ts'
import { type Task, Variants } from './prometheus/tasks.ts'
import type { Shape } from './prometheus/workload.ts'

/** Series x samples of a request. */
const SIZES = [
  [500, 1],
  [100, 5],
  [50, 10],
] as const

export const PROMETHEUS_PARTS: readonly string[] = [...SIZES.map(encodePart), 'compress', 'flat', 'real']

function encodePart([series, samples]: readonly [number, number]): string {
  return `encode-${series}x${samples}`
}

export async function prometheus(options: BenchOptions): Promise<readonly Row[]> {
  const { only } = options
  const rows: Row[] = []
  for (const size of SIZES) {
    if (only === undefined || only === encodePart(size)) rows.push(...(await encode(size, options)))
  }
  if (only === undefined || only === 'compress') rows.push(...(await compress(options)))
  if (only === undefined || only === 'flat') rows.push(...(await flat(options)))
  if (only === undefined || only === 'real') rows.push(...(await realRows(options)))
  return rows
}

const LABELS = [2, 8, 20] as const

interface EncodeCase {
  readonly ours: string
  /** Of the sizes and labels that the aims are for; the others are published. */
  readonly aim: number | undefined
}

/** What is measured beside protobufjs, for each share of new series. */
const ENCODE_CASES: readonly (Pick<Shape, 'newPercent' | 'isShuffled'> & { readonly cases: readonly EncodeCase[] })[] =
  [
    {
      newPercent: 0,
      isShuffled: false,
      cases: [
        { ours: 'handles', aim: 8 },
        { ours: 'fresh', aim: 2 },
      ],
    },
    { newPercent: 0, isShuffled: true, cases: [{ ours: 'fresh', aim: undefined }] },
    { newPercent: 10, isShuffled: false, cases: [{ ours: 'fresh', aim: undefined }] },
    {
      newPercent: 100,
      isShuffled: false,
      cases: [
        { ours: 'fresh', aim: undefined },
        { ours: 'fresh, validation off', aim: 1 },
      ],
    },
  ]
/** Series in another order each time cost a look-up more, whatever their labels: once for each size is enough. */
const SHUFFLED_LABELS = 8
const ENCODE_PEER = 'protobufjs static'

async function encode([series, samples]: readonly [number, number], options: BenchOptions): Promise<readonly Row[]> {
  const { rounds, progress } = options
  const rows: Row[] = []
  for (const labels of LABELS) {
    for (const { newPercent, isShuffled, cases } of ENCODE_CASES) {
      if (isShuffled && labels !== SHUFFLED_LABELS) continue
      const shape: Shape = { series, samples, labels, newPercent, isShuffled }
      const name = nameOf(shape)
      const names = [...cases.map(({ ours }) => ours), ENCODE_PEER]
      const results = await inTurn('encode', names, shape, rounds, (line) => progress(`encode ${name}: ${line}`))
      const work = encodeWork(shape) / 1e6
      const isAimedAt = samples < 10 && labels > 2
      for (const { ours, aim } of cases) {
        const row = rowOf(`${ours}: ${name}`, 'million samples per CPU-second', results, ours, ENCODE_PEER, work)
        rows.push({ ...row, ...(isAimedAt && aim !== undefined ? { aim } : {}) })
      }
    }
  }
  return rows
}

const COMPRESS_CASES: readonly (Shape & { readonly aim: number })[] = [
  { series: 100, samples: 5, labels: 9, newPercent: 0, isShuffled: false, aim: 3.5 },
  { series: 500, samples: 1, labels: 9, newPercent: 0, isShuffled: false, aim: 4.5 },
]

async function compress({ rounds, progress }: BenchOptions): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const { aim, ...shape } of COMPRESS_CASES) {
    const { bodyBytes, roundBytes } = compressWork(shape)
    const name = `compress: ${Math.round(bodyBytes / 1000)} kB`
    const results = await inTurn('compress', ['ours', 'snappyjs'], shape, rounds, (line) =>
      progress(`${name}: ${line}`),
    )
    rows.push({ ...rowOf(name, 'MB per CPU-second', results, 'ours', 'snappyjs', roundBytes / 1e6), aim })
  }
  return rows
}

async function flat({ rounds, progress }: BenchOptions): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const [series, samples] of SIZES) {
    for (const newPercent of [0, 10, 100]) {
      const shape: Shape = { series, samples, labels: 8, newPercent, isShuffled: false }
      const name = nameOf(shape)
      const results = await inTurn('flat', ['flat records', ...FLAT_PEERS], shape, rounds, (line) =>
        progress(`flat ${name}: ${line}`),
      )
      const work = (FLAT_REQUESTS * series * samples) / 1e6
      const unit = 'million samples per CPU-second'
      const all = FLAT_PEERS.map((peer) => rowOf(`flat records: ${name}`, unit, results, 'flat records', peer, work))
      // Its faster way is the one to be compared with.
      const [strongest] = all.toSorted((a, b) => (a.ratio ?? 0) - (b.ratio ?? 0))
      if (strongest !== undefined) rows.push({ ...strongest, ...(newPercent <= 10 ? { aim: 6 } : {}) })
    }
  }
  return rows
}

async function inTurn(
  part: Task['part'],
  names: readonly string[],
  shape: Shape,
  rounds: number,
  onRound: (line: string) => void,
): Promise<ReadonlyMap<string, readonly Round[]>> {
  await using variants = new Variants(names.map((variant) => ({ part, variant, shape })))
  return await interleave(variants.list, rounds, onRound)
}

function nameOf({ series, samples, labels, newPercent, isShuffled }: Shape): string {
  const order = isShuffled ? ', in another order each time' : ''
  return `${series} series x ${samples}, ${labels} labels, ${newPercent} % new${order}`
}

/** @param work - of a round, in the unit. */
function rowOf(
  name: string,
  unit: string,
  results: ReadonlyMap<string, readonly Round[]>,
  ours: string,
  peerName: string,
  work: number,
): Row {
  const [subject, peer] = [ours, peerName].map((variant) =>
    quartiles((results.get(variant) ?? []).map(({ cpuSeconds }) => work / cpuSeconds)),
  ) as [Quartiles, Quartiles]
  return {
    bench: 'prometheus',
    case: name,
    ours: roundedQuartiles(subject),
    peer: roundedQuartiles(peer),
    peerName,
    unit,
    ratio: rounded(subject.median / peer.median),
  }
}
