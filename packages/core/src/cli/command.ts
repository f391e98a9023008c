import { once } from 'node:events'
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { messageOf } from '../errors.ts'

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** Something failed, or was passed over: standard error says what. */
  failed: 1,
  /** The command line is wrong: nothing was done. */
  usage: 2,
  /** Stopped by SIGINT or SIGTERM, in order. */
  interrupted: 130,
} as const

export interface Command {
  /** As it is typed: `dlq show`. */
  readonly name: string
  readonly summary: string
  readonly help: string
  run(args: readonly string[]): Promise<number>
}

/** What is wrong with the command line. */
export class UsageError extends Error {}

type Values = Readonly<Record<string, string | boolean | undefined>>

/**
 * Reads the arguments of a command that takes one folder.
 *
 * @throws UsageError with what `parseArgs` says, or when the folder is missing or not alone.
 */
export function parseCommand(
  args: readonly string[],
  options: ParseArgsOptionsConfig,
): { readonly folder: string; readonly values: Values } {
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
  const [folder, ...more] = parsed.positionals
  if (folder === undefined || folder === '') throw new UsageError('a folder of dead letters is needed')
  if (more.length > 0) throw new UsageError(`one folder is expected, got also: ${more.join(' ')}`)
  return { folder, values: parsed.values as Values }
}

/** @throws UsageError */
export function positiveInteger(values: Values, name: string): number | undefined {
  const given = values[name]
  if (given === undefined) return undefined
  if (typeof given !== 'string' || !/^[1-9]\d{0,14}$/.test(given)) {
    throw new UsageError(`--${name} must be a positive whole number, got ${JSON.stringify(given)}`)
  }
  return Number(given)
}

export function text(values: Values, name: string): string | undefined {
  const given = values[name]
  return typeof given === 'string' ? given : undefined
}

/** One line to people: progress and problems never mix with what a command prints. */
export function tell(line: string): void {
  process.stderr.write(`${line.split('\n').map(printable).join('\n')}\n`)
}

/** Prints, and waits for a slow reader of the output, so that a large folder does not pile up in memory. */
export async function write(chunk: string): Promise<void> {
  if (!process.stdout.write(chunk)) await once(process.stdout, 'drain')
}

/** Control characters as text: what a record holds must not steer the terminal. */
export function printable(content: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return content.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
