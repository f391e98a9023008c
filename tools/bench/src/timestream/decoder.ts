/**
 * Decodes rows as a program receives them, a batch just before it is used: rows that wait in memory would cost every variant the
 * same caches and collections, and hide what differs. What decoding takes is not the variants': it is told, to be taken off.
 */
export class Decoder {
  #micros = 0

  /** Since it was asked before. */
  takeCpuSeconds(): number {
    const seconds = this.#micros / 1e6
    this.#micros = 0
    return seconds
  }

  readonly decode = (batch: Buffer): readonly never[] => {
    const wallStart = performance.now()
    const cpuStart = process.cpuUsage()
    const rows = JSON.parse(batch.toString()) as readonly never[]
    const { user, system } = process.cpuUsage(cpuStart)
    // CPU time has that of other threads in it, wall time that of other processes; the time of a thread is not exact enough.
    this.#micros += Math.min(user + system, (performance.now() - wallStart) * 1000)
    return rows
  }
}
