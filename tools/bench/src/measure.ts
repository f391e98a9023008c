/** What one round of one variant cost and produced. */
export interface Round {
  readonly cpuSeconds: number
  readonly wallSeconds: number
  /** Proves that the variants did the same work: equal for all of them. */
  readonly output: string
}

export interface Variant {
  readonly name: string
  /** One round on inputs of its own; what is made before the clock starts is the caller's affair. */
  run(): Promise<Round>
}

export interface Quartiles {
  readonly median: number
  readonly lower: number
  readonly upper: number
}

/** One line of the result; `peer`, `peerName` and `ratio` are null where there is nothing to compare with. */
export interface Row {
  readonly bench: string
  readonly case: string
  readonly ours: number | Quartiles
  readonly peer: Quartiles | null
  readonly peerName: string | null
  readonly unit: string
  readonly ratio: number | null
  /** What the ratio, or the figure where there is no peer, is to be at least; none where a case is published for what it is. */
  readonly aim?: number
}

/** Runs the work under the clock. */
export async function clocked(work: () => Promise<string>): Promise<Round> {
  globalThis.gc?.()
  const wallStart = performance.now()
  const cpuStart = process.cpuUsage()
  const output = await work()
  const { user, system } = process.cpuUsage(cpuStart)
  return { cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - wallStart) / 1000, output }
}

/**
 * Runs the variants in turn, A B C A B C, so that whatever else the machine does meets all of them; the first round warms up and
 * is not counted.
 *
 * @throws Error when two variants do not produce the same output.
 */
export async function interleave(
  variants: readonly Variant[],
  rounds: number,
  onRound: (line: string) => void,
): Promise<ReadonlyMap<string, readonly Round[]>> {
  const results = new Map<string, Round[]>(variants.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    const outputs = new Map<string, string>()
    for (const variant of variants) {
      const result = await variant.run()
      outputs.set(variant.name, result.output)
      if (round > 0) results.get(variant.name)?.push(result)
    }
    if (new Set(outputs.values()).size !== 1) {
      throw new Error(`the variants did not do the same work: ${JSON.stringify([...outputs])}`)
    }
    onRound(round === 0 ? 'warm-up done' : `round ${round} of ${rounds}`)
  }
  return results
}

export function quartiles(values: readonly number[]): Quartiles {
  return { median: quantile(values, 0.5), lower: quantile(values, 0.25), upper: quantile(values, 0.75) }
}

/** @param share - from 0 to 1; between two values it is interpolated. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const position = share * (sorted.length - 1)
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position - Math.floor(position))
}
