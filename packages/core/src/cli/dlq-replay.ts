import { stat } from 'node:fs/promises'
import { dirname, join, resolve as resolvePath } from 'node:path'
import type { DeadLetter } from '../dead-letters/letter.ts'
import { type DeadLetterRecord, deadLetterRecord } from '../dead-letters/record.ts'
import { messageOf, SluiceError } from '../errors.ts'
import {
  type Command,
  EXIT,
  parseCommand,
  positiveInteger,
  printable,
  tell,
  text,
  UsageError,
  write,
} from './command.ts'
import { chosenLetters, FILTER_HELP, FILTER_OPTIONS, type ReadCounts, type Selection, selection } from './letters.ts'
import { ReplayProgress, replayedIds } from './replay-progress.ts'
import { loadTarget, type ReplayTarget } from './replay-target.ts'

const MAX_BATCH_BYTES = 16 * 1024 * 1024
const TELL_INTERVAL_MS = 2000

export const dlqReplay: Command = {
  name: 'dlq replay',
  summary: 'gives the raw records of dead letters to a function of yours, in order',
  help: `Usage: sluice dlq replay <folder or file> --to <module> [options]

Calls the default export of the module with the records of the dead letters, oldest first:

  export default async function (records) {
    for (const { key, headers, timestampMs, bytes, letter } of records) await producer.send(key, bytes)
  }
  export async function close() { await producer.disconnect() }  // optional

When it resolves, the letters of the call count as replayed and are not sent again by a later run; when it rejects, the command
ends. A run that is killed sends the letters of its last call again. Letters stay in their files.

  --to <module>      file of the module, .mjs or .js
  --dry-run          prints what would be sent, and sends nothing
  --again            sends also what was replayed before
  --progress <file>  where the ids of replayed letters are kept; default: replayed.ids beside the letters
  --batch <n>        records in one call, default 100
  --timeout <ms>     for one call, default 60000
${FILTER_HELP}

Exit codes: 0, 1 when something failed or was passed over, 2 when the command line is wrong, 130 when it was interrupted.`,

  async run(args) {
    const { folder, values } = parseCommand(args, {
      ...FILTER_OPTIONS,
      to: { type: 'string' },
      'dry-run': { type: 'boolean' },
      again: { type: 'boolean' },
      progress: { type: 'string' },
      batch: { type: 'string' },
      timeout: { type: 'string' },
    })
    const to = text(values, 'to')
    const chosen = selection(values)
    const maxRecords = positiveInteger(values, 'batch') ?? 100
    const timeoutMs = positiveInteger(values, 'timeout') ?? 60_000
    const path = resolvePath(text(values, 'progress') ?? join(await folderOf(folder), 'replayed.ids'))
    const again = values['again'] === true
    if (values['dry-run'] === true) {
      const done = again ? new Set<string>() : await replayedIds(path)
      return await dryRun(
        folder,
        without(chosen, (id) => done.has(id)),
      )
    }
    if (to === undefined) throw new UsageError('--to is needed: the module that takes the records, or --dry-run')
    // The module may print: that nobody reads it any more is no reason to stop between two calls.
    process.stdout.removeAllListeners('error').on('error', () => {})
    const target = await loadTarget(to, timeoutMs)
    await using progress = await ReplayProgress.open(path)
    const left = again ? chosen : without(chosen, (id) => progress.has(id))
    return await new Replay(target, progress, maxRecords).run(folder, left)
  },
}

function without({ limit, matches }: Selection, isDone: (id: string) => boolean): Selection {
  return { limit, matches: (letter) => !isDone(letter.id) && matches(letter) }
}

async function folderOf(path: string): Promise<string> {
  const full = resolvePath(path)
  const found = await stat(full).catch((error: unknown) => {
    throw new SluiceError('SLUICE_DEAD_LETTERS_FAILED', `dead letters cannot be read from ${full}: ${messageOf(error)}`)
  })
  return found.isFile() ? dirname(full) : full
}

async function dryRun(folder: string, chosen: Selection): Promise<number> {
  const counts: ReadCounts = { repeats: 0, unreadable: 0 }
  let [total, withoutRaw] = [0, 0]
  for await (const letter of chosenLetters(folder, chosen, counts)) {
    const record = deadLetterRecord(letter)
    if (record === undefined) withoutRaw++
    else total++
    await write(`${printable(line(letter, record))}\n`)
  }
  tell(`${total} records would be sent`)
  return passedOver(counts, withoutRaw)
}

function line({ id, stage, sink, reason, origin }: DeadLetter, record: DeadLetterRecord | undefined): string {
  const from = `${origin.source} ${origin.split} ${origin.position ?? '-'}`
  const size = record === undefined ? 'no raw bytes, not sent' : `${record.bytes.length} bytes`
  return `${id}  ${stage} ${sink ?? '-'} ${reason.code}  ${from}  ${size}`
}

function passedOver({ unreadable }: ReadCounts, withoutRaw: number): number {
  if (withoutRaw > 0) tell(`${withoutRaw} letters have no raw bytes and are not sent`)
  if (unreadable > 0) tell(`${unreadable} lines are not readable`)
  return withoutRaw + unreadable === 0 ? EXIT.ok : EXIT.failed
}

class Replay {
  readonly #target: ReplayTarget
  readonly #progress: ReplayProgress
  readonly #maxRecords: number
  readonly #counts: ReadCounts = { repeats: 0, unreadable: 0 }
  #batch: DeadLetterRecord[] = []
  #batchBytes = 0
  #sent = 0
  #withoutRaw = 0
  #toldAt = 0
  #interrupted = false

  constructor(target: ReplayTarget, progress: ReplayProgress, maxRecords: number) {
    this.#target = target
    this.#progress = progress
    this.#maxRecords = maxRecords
  }

  async run(folder: string, chosen: Selection): Promise<number> {
    const interrupt = (): void => {
      this.#interrupted = true
      tell('stopping after the call under way; once more stops at once')
    }
    for (const signal of SIGNALS) process.once(signal, interrupt)
    let failed = false
    try {
      await this.#sendAll(folder, chosen)
    } catch (error) {
      failed = true
      tell(`stopped: ${messageOf(error)}. The same command goes on from here`)
    }
    await this.#target.close().catch((error: unknown) => {
      failed = true
      tell(`close of the module failed: ${messageOf(error)}`)
    })
    for (const signal of SIGNALS) process.off(signal, interrupt)
    tell(`${this.#sent} records sent`)
    const code = passedOver(this.#counts, this.#withoutRaw)
    if (failed) return EXIT.failed
    return this.#interrupted ? EXIT.interrupted : code
  }

  async #sendAll(folder: string, chosen: Selection): Promise<void> {
    for await (const letter of chosenLetters(folder, chosen, this.#counts)) {
      if (this.#interrupted) return
      const record = deadLetterRecord(letter)
      if (record === undefined) {
        this.#withoutRaw++
        tell(`letter ${letter.id} has no raw bytes`)
        continue
      }
      if (this.#batch.length > 0 && this.#batchBytes + record.bytes.length > MAX_BATCH_BYTES) await this.#send()
      this.#batch.push(record)
      this.#batchBytes += record.bytes.length
      if (this.#batch.length >= this.#maxRecords) await this.#send()
    }
    if (this.#batch.length > 0 && !this.#interrupted) await this.#send()
  }

  async #send(): Promise<void> {
    const records = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    await this.#target.send(records)
    await this.#progress.add(records.map(({ letter }) => letter.id)).catch((error: unknown) => {
      throw new Error(`the last call was sent and is sent again, since it could not be noted: ${messageOf(error)}`)
    })
    this.#sent += records.length
    const now = performance.now()
    if (now - this.#toldAt < TELL_INTERVAL_MS) return
    this.#toldAt = now
    tell(`${this.#sent} records sent`)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
