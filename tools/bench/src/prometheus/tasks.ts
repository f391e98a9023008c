import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Round, Variant } from '../measure.ts'
import type { Shape } from './workload.ts'

/** One round of one variant. */
export interface Task {
  readonly part: 'encode' | 'flat' | 'compress'
  readonly variant: string
  readonly shape: Shape
  /** Counted from 0; each has inputs of its own. */
  readonly round: number
}

const ROUND = fileURLToPath(new URL('round.ts', import.meta.url))
/**
 * Threads that collect what decoding left behind would be counted as work; and new objects have the space from the start that they
 * have in a process which has run for a while, or pages that are new to the process would be counted. Code is compiled when it is
 * called for, and not when a busy machine comes to it.
 */
const V8_OPTIONS = [
  '--expose-gc',
  '--single-threaded-gc',
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
  '--no-concurrent-recompilation',
]
const ROUND_TIMEOUT_MS = 300_000

/** A variant each of whose rounds has a process of its own: in one process they would spoil each other's compiled code and heap. */
export function variantOf(part: Task['part'], variant: string, shape: Shape): Variant {
  let round = 0
  return {
    name: variant,
    run: () => inProcess({ part, variant, shape, round: round++ }),
  }
}

async function inProcess(task: Task): Promise<Round> {
  const { stdout } = await promisify(execFile)(process.execPath, [...V8_OPTIONS, ROUND, JSON.stringify(task)], {
    timeout: ROUND_TIMEOUT_MS,
  })
  return JSON.parse(stdout) as Round
}
