import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

export const CLI: string = join(import.meta.dirname, '../src/cli.ts')

export interface CliEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliServer {
  readonly endpoint: string
  readonly greeting: string
  /** Sends a signal and waits for the end; safe to call again. */
  kill(signal?: NodeJS.Signals): Promise<CliEnd>
}

/** Runs the command line to its end. */
export function runCli(args: readonly string[]): Promise<CliEnd> {
  return launch(args).ended
}

/**
 * Starts the command line; rejects with its output when it ends before it listens. With `maxFileKiB`, the kernel lets no
 * file grow beyond it: a write over the limit is cut short, the next one fails.
 */
export async function startCli(args: readonly string[], maxFileKiB?: number): Promise<CliServer> {
  const { child, output, ended } = launch(args, maxFileKiB)
  const greeting = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      if (/AWS_ACCESS_KEY_ID|Signatures are checked/.test(output.stdout)) resolve(output.stdout)
    })
    child.once('close', (code) => {
      reject(new Error(`exit code ${code}: ${output.stderr}`))
    })
  })
  return {
    endpoint: /http:\/\/\S+/.exec(greeting)?.[0] ?? '',
    greeting,
    kill: (signal = 'SIGKILL') => {
      child.kill(signal)
      return ended
    },
  }
}

function launch(
  args: readonly string[],
  maxFileKiB?: number,
): {
  child: ReturnType<typeof spawnCli>
  output: { stdout: string; stderr: string }
  ended: Promise<CliEnd>
} {
  const child = spawnCli(args, maxFileKiB)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const ended = new Promise<CliEnd>((resolve) => {
    child.once('close', (code) => {
      resolve({ code, ...output })
    })
  })
  return { child, output, ended }
}

function spawnCli(
  args: readonly string[],
  maxFileKiB: number | undefined,
): ChildProcessByStdio<null, Readable, Readable> {
  const command = [process.execPath, CLI, ...args]
  const limited = ['bash', '-c', `trap '' XFSZ; ulimit -f ${maxFileKiB}; exec "$@"`, 'bash', ...command]
  const [program = '', ...rest] = maxFileKiB === undefined ? command : limited
  return spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
}
