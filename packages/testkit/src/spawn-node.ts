import { spawn, type ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** How a child ended. */
export interface NodeExit {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Options of {@link spawnNode}. */
export interface SpawnNodeOptions {
  /** Working folder. @default the caller's */
  readonly cwd?: string
  /** The whole environment, as in `child_process`. @default `process.env` */
  readonly env?: NodeJS.ProcessEnv
  /** Options of Node itself, before the entry: `['--expose-gc']`. @default none */
  readonly execArgv?: readonly string[]
}

/** A running child process. */
export interface NodeChild extends AsyncDisposable {
  readonly pid: number
  /** Newest lines of its standard output (at least the last 5,000). */
  readonly stdout: readonly string[]
  /** Newest lines of its standard error (at least the last 5,000). */
  readonly stderr: readonly string[]
  /** Resolves when the process has ended and its output was read. Never rejects. */
  readonly exit: Promise<NodeExit>
  /**
   * The first line of either stream, already seen or still to come, that matches.
   *
   * @param deadlineMs - default 10,000
   * @throws Error with the last output when the process ends, or the deadline passes, without such a line
   */
  line(pattern: RegExp | string, deadlineMs?: number): Promise<string>
  /** Sends a signal to this process (not to its children); false when it has already ended. */
  kill(signal?: NodeJS.Signals): boolean
  /** SIGTERM, and SIGKILL when the process has not ended after `deadlineMs` (default 5,000). */
  stop(deadlineMs?: number): Promise<NodeExit>
}

const MAX_LINES = 10_000
const LIFELINE_FD = 3
/** How long output is awaited after the exit: a grandchild may hold the pipes open. */
const OUTPUT_GRACE_MS = 1_000

/**
 * Starts `entry` (a path or file URL) with the Node that runs the caller. Standard input is empty. The child is killed when
 * the caller ends, however it ends (not while the child is stopped by SIGSTOP or blocks its event loop). On disposal it is
 * stopped.
 *
 * @throws Error when the process cannot be started
 *
 * @example
 * ```ts
 * await using child = await spawnNode(new URL('./worker.ts', import.meta.url), ['--port', '0'])
 * await child.line(/listening/)
 * child.kill('SIGKILL')
 * await child.exit
 * ```
 */
export function spawnNode(
  entry: string | URL,
  args: readonly string[] = [],
  options: SpawnNodeOptions = {},
): Promise<NodeChild> {
  return spawnReporting(entry, args, options, () => {})
}

/** {@link spawnNode}, with the messages that preloads in the child report. */
export async function spawnReporting(
  entry: string | URL,
  args: readonly string[],
  options: SpawnNodeOptions,
  onReport: (message: unknown) => void,
): Promise<NodeChild> {
  const file = entry instanceof URL ? fileURLToPath(entry) : entry
  const child = spawn(process.execPath, ['--import', LIFELINE_PRELOAD, ...(options.execArgv ?? []), file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...(options.env ?? process.env), SLUICE_TESTKIT_LIFELINE: '1' },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const lifeline = child.stdio[LIFELINE_FD]
  if (lifeline instanceof Readable) {
    // A child that dies resets the pipe; its end is told by `exit`.
    lifeline.on('error', () => {})
    createInterface({ input: lifeline }).on('line', (line) => onReport(JSON.parse(line)))
  }
  return started(child, file)
}

/** The child, once it runs. @throws Error when it could not be started */
export async function started(child: ChildProcess, file: string): Promise<NodeChild> {
  const running = new RunningNode(child, file)
  await running.started
  return running
}

/** What `--import` takes: the URLs of the preloads, beside this module in the sources and in the build. */
const LIFELINE_PRELOAD: string = asBuilt(new URL('./lifeline.ts', import.meta.url))
export const LOOPBACK_PRELOAD: string = asBuilt(new URL('./loopback.ts', import.meta.url))

function asBuilt(source: URL): string {
  return source.href.replace(/\.ts$/, extname(import.meta.url))
}

class RunningNode implements NodeChild {
  readonly stdout: string[] = []
  readonly stderr: string[] = []
  readonly exit: Promise<NodeExit>
  readonly started: Promise<void>
  readonly #child: ChildProcess
  readonly #file: string
  readonly #watchers = new Set<(line: string) => void>()

  constructor(child: ChildProcess, file: string) {
    this.#child = child
    this.#file = file
    this.#collect(child.stdout, this.stdout)
    this.#collect(child.stderr, this.stderr)
    this.started = new Promise((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (error) => reject(new Error(`cannot start ${file}: ${error.message}`, { cause: error })))
    })
    this.exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const done = (): void => resolve({ code, signal })
        const grace = setTimeout(done, OUTPUT_GRACE_MS)
        child.once('close', () => {
          clearTimeout(grace)
          done()
        })
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  line(pattern: RegExp | string, deadlineMs = 10_000): Promise<string> {
    const matches = (line: string): boolean =>
      typeof pattern === 'string' ? line.includes(pattern) : pattern.test(line)
    const found = [...this.stdout, ...this.stderr].find(matches)
    if (found !== undefined) return Promise.resolve(found)
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        clearTimeout(timer)
        this.#watchers.delete(watcher)
        finish()
      }
      const watcher = (line: string): void => {
        if (matches(line)) settle(() => resolve(line))
      }
      const timer = setTimeout(
        () => settle(() => reject(this.#failure(`printed no line like ${String(pattern)} within ${deadlineMs} ms`))),
        deadlineMs,
      )
      this.#watchers.add(watcher)
      void this.exit.then(({ code, signal }) =>
        settle(() =>
          reject(this.#failure(`ended (${signal ?? `code ${code}`}) without a line like ${String(pattern)}`)),
        ),
      )
    })
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): boolean {
    return this.#child.kill(signal)
  }

  async stop(deadlineMs = 5_000): Promise<NodeExit> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), deadlineMs)
    try {
      return await this.exit
    } finally {
      clearTimeout(timer)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #collect(stream: Readable | null, lines: string[]): void {
    if (stream === null) return
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      if (lines.length > MAX_LINES) lines.splice(0, MAX_LINES / 2)
      for (const watcher of this.#watchers) watcher(line)
    })
  }

  #failure(what: string): Error {
    return new Error(`${this.#file} ${what}; ${lastOutput(this)}`)
  }
}

/** The end of a child's output, for an error. */
export function lastOutput(child: NodeChild): string {
  const lines = [...child.stdout.slice(-10), ...child.stderr.slice(-20)]
  return lines.length === 0 ? 'it printed nothing' : `its last output:\n${lines.join('\n')}`
}
