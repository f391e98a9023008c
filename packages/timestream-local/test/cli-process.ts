import { spawn } from 'node:child_process'
import { join } from 'node:path'

const CLI = join(import.meta.dirname, '../src/cli.ts')

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

/** Starts the command line; rejects with its output when it ends before it listens. */
export async function startCli(args: readonly string[]): Promise<CliServer> {
  const { child, output, ended } = launch(args)
  const greeting = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      if (output.stdout.includes('AWS_ACCESS_KEY_ID')) resolve(output.stdout)
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

function launch(args: readonly string[]): {
  child: ReturnType<typeof spawnCli>
  output: { stdout: string; stderr: string }
  ended: Promise<CliEnd>
} {
  const child = spawnCli(args)
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
): ReturnType<typeof spawn> & { stdout: NodeJS.ReadStream; stderr: NodeJS.ReadStream } {
  return spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }) as never
}
