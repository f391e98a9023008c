/** Time over which a rate is taken, at most. */
const WINDOW_MS = 60_000
/** Between two samples that are kept, at least: who looks all the time costs no more memory. */
const STEP_MS = 1_000

/** How fast a counter rises: over the last minute, as far as it was looked at; else since it was looked at before. */
export class Rate {
  readonly #samples: { readonly atMs: number; readonly value: number }[] = []

  constructor(nowMs: number) {
    this.#samples.push({ atMs: nowMs, value: 0 })
  }

  /** @returns how much it rose in a second; 0 when no time has passed. */
  look(nowMs: number, value: number): number {
    const samples = this.#samples
    // The newest that is older than the window is what it is measured from.
    while (samples.length > 1 && (samples[1]?.atMs ?? 0) <= nowMs - WINDOW_MS) samples.shift()
    const first = samples[0] ?? { atMs: nowMs, value }
    if ((samples.at(-1)?.atMs ?? 0) <= nowMs - STEP_MS) samples.push({ atMs: nowMs, value })
    const passedMs = nowMs - first.atMs
    return passedMs <= 0 ? 0 : ((value - first.value) * 1000) / passedMs
  }
}
