import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Round, Variant } from '../measure.ts'
import type { Shape } from './workload.ts'

/** What one process does, round by round. */
export interface Task {
  readonly part: 'encode' | 'flat' | 'compress'
  readonly variant: string
  readonly shape: Shape
}

/** One round of one variant; numbers count from 0, and each has inputs of its own. */
export type RunRound = (round: number) => Round | Promise<Round>

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
const ROUND = fileURLToPath(new URL('round.ts', import.meta.url))
const ROUND_TIMEOUT_MS = 300_000

/**
 * Variants of one case, each with a process of its own for all its rounds: in one process they would spoil each other's compiled code
 * and heap, and a process that begins anew with each round would be measured while its code is still compiled. Before its first round a
 * process does the same work until it gets no faster.
 */
export class Variants implements AsyncDisposable {
  readonly list: readonly Variant[]
  readonly #workers: readonly Worker[]

  constructor(
    tasks: readonly (Pick<Task, 'variant'> & { readonly part: string })[],
    execArgv: readonly string[] = V8_OPTIONS,
  ) {
    this.#workers = tasks.map((task) => new Worker(task, execArgv))
    this.list = tasks.map(({ variant }, index) => ({
      name: variant,
      run: async () => await (this.#workers[index] as Worker).round(),
    }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map(async (worker) => await worker.end()))
  }
}

class Worker {
  readonly #task: object
  readonly #execArgv: readonly string[]
  #child: ChildProcess | undefined
  #next = 0

  constructor(task: object, execArgv: readonly string[]) {
    this.#task = task
    this.#execArgv = execArgv
  }

  async round(): Promise<Round> {
    const child = (this.#child ??= fork(ROUND, [JSON.stringify(this.#task)], { execArgv: [...this.#execArgv] }))
    const answered = new AbortController()
    const { signal } = answered
    const overdue = AbortSignal.any([signal, AbortSignal.timeout(ROUND_TIMEOUT_MS)])
    try {
      child.send(this.#next++)
      return await Promise.race([
        once(child, 'message', { signal: overdue }).then(([round]) => round as Round),
        once(child, 'exit', { signal: overdue }).then(([code]) => {
          throw new Error(`the process of ${JSON.stringify(this.#task)} ended with ${String(code)}`)
        }),
      ])
    } finally {
      answered.abort()
    }
  }

  async end(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill()
    await ended
  }
}
