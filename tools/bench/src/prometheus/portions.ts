import type { Round } from '../measure.ts'

/** Requests whose inputs are decoded, and then worked on, together. */
const TOGETHER = 2

/** What a portion of the work made: of its last request the bytes, as proof. */
export interface Made {
  readonly bytes: number
  readonly last: Uint8Array
}

/**
 * Runs work on inputs that are decoded portion by portion, outside the clock, so that they are as new as those of a program that
 * received them just now.
 *
 * @param times - so often all inputs are decoded and worked on.
 * @param prepare - outside the clock.
 * @param work - under the clock.
 * @param check - outside the clock: looks at what was made.
 */
export async function timed<Input, Prepared>(
  inputs: readonly Input[],
  times: number,
  prepare: (decoded: readonly Input[]) => Prepared,
  work: (prepared: Prepared) => Made | Promise<Made>,
  check: (made: Made) => void,
): Promise<Omit<Round, 'output'>> {
  let cpuSeconds = 0
  let wallSeconds = 0
  const texts: string[] = []
  for (let from = 0; from < inputs.length; from += TOGETHER) {
    texts.push(JSON.stringify(inputs.slice(from, from + TOGETHER)))
  }
  for (const text of Array.from({ length: times }).flatMap(() => texts)) {
    const prepared = prepare(JSON.parse(text) as readonly Input[])
    const wallStart = performance.now()
    const cpuStart = process.cpuUsage()
    const result = work(prepared)
    // Nothing is awaited that is at hand.
    const made = result instanceof Promise ? await result : result
    const { user, system } = process.cpuUsage(cpuStart)
    cpuSeconds += (user + system) / 1e6
    wallSeconds += (performance.now() - wallStart) / 1000
    check(made)
  }
  return { cpuSeconds, wallSeconds }
}
