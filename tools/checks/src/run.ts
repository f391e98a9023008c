import { spawn } from 'node:child_process'

export interface RunOptions {
  readonly cwd: string
  /** Added to this process's environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The process group is killed after this time. @default 600_000 */
  readonly timeoutMs?: number
}

export interface RunResult {
  /** `null` when a signal ended the process. */
  readonly code: number | null
  readonly stdout: string
  /** Both streams, in the order of arrival. */
  readonly output: string
  readonly timedOut: boolean
}

/** Runs a program to its end and keeps what it printed. A program that cannot be started rejects. */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let stdout = ''
    let output = ''
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }, options.timeoutMs ?? 600_000)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, stdout, output, timedOut })
    })
  })
}

/** As `run`, but a non-zero ending is an error that shows the output. */
export async function runOrThrow(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const result = await run(command, args, options)
  if (result.code === 0) return result
  const ending = result.timedOut ? 'was killed at its deadline' : `ended with ${result.code}`
  throw new Error(`${command} ${args.join(' ')} ${ending} in ${options.cwd}:\n${result.output}`)
}
