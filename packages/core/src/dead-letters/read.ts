import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve as resolvePath } from 'node:path'
import { messageOf, SluiceError } from '../errors.ts'
import { jobOfFile } from './file-names.ts'
import { type DeadLetter, parseDeadLetter } from './letter.ts'

/** A line that is no letter. */
export interface UnreadableLine {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly error: SluiceError
  /**
   * The last line of its file, without a line break: a process died, or is at this moment, while writing it. No letter is lost: it
   * was never confirmed.
   */
  readonly torn: boolean
}

export interface ReadDeadLettersOptions {
  /** Told of each line that is no letter, which is then passed over. @default torn lines are passed over, others are thrown */
  readonly onUnreadable?: (line: UnreadableLine) => void
}

/**
 * The letters that {@link fileDeadLetters} keeps in a folder, or those of one file: file by file as their names sort, that is, by
 * time. A repeat has the `id` of the letter before it.
 *
 * @throws SluiceError `SLUICE_DEAD_LETTER_INVALID` naming file and line, unless `onUnreadable` is given; `SLUICE_DEAD_LETTERS_FAILED`
 * when the folder cannot be read.
 * @example
 * ```ts
 * for await (const letter of readDeadLetters('./dead-letters')) console.log(letter.reason.code, letter.origin.position)
 * ```
 */
export async function* readDeadLetters(
  path: string,
  options: ReadDeadLettersOptions = {},
): AsyncGenerator<DeadLetter, void, undefined> {
  const { onUnreadable } = options
  for (const file of await letterFiles(path)) {
    let number = 0
    for await (const { text, ended } of lines(file, 0)) {
      number++
      if (text === '') continue
      let letter: DeadLetter
      try {
        letter = parseDeadLetter(text)
      } catch (error) {
        const problem = { file, line: number, error: withPlace(error, file, number), torn: !ended }
        if (onUnreadable !== undefined) onUnreadable(problem)
        else if (!problem.torn) throw problem.error
        continue
      }
      yield letter
    }
  }
}

/** Full paths, oldest first. */
export async function letterFiles(path: string): Promise<readonly string[]> {
  const full = resolvePath(path)
  try {
    if ((await stat(full)).isFile()) return [full]
    const names = await readdir(full)
    return names
      .filter((name) => jobOfFile(name) !== undefined)
      .sort()
      .map((name) => join(full, name))
  } catch (error) {
    throw unreadable(full, error)
  }
}

export interface Line {
  readonly text: string
  /** True when a line break follows. */
  readonly ended: boolean
  /** Bytes of the file up to the end of this line. */
  readonly endsAt: number
}

/** Lines from a position on. Only `\n` ends one: a string in JSON may hold what other readers take for a line break. */
export async function* lines(file: string, from: number): AsyncGenerator<Line, void, undefined> {
  let endsAt = from
  let parts: Buffer[] = []
  const take = (ended: boolean): Line => {
    const text = Buffer.concat(parts).toString('utf8')
    parts = []
    return { text, ended, endsAt }
  }
  try {
    for await (const chunk of createReadStream(file, { start: from }) as AsyncIterable<Buffer>) {
      let begin = 0
      for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, begin)) {
        parts.push(chunk.subarray(begin, end))
        endsAt += end + 1 - begin
        begin = end + 1
        yield take(true)
      }
      if (begin < chunk.length) {
        parts.push(chunk.subarray(begin))
        endsAt += chunk.length - begin
      }
    }
  } catch (error) {
    throw unreadable(file, error)
  }
  // `endsAt` has counted the parts already, and a first part of a line as well: it is the length of the file.
  if (parts.length > 0) yield take(false)
}

function withPlace(error: unknown, file: string, line: number): SluiceError {
  const { code, message, facts } = SluiceError.from(error, 'SLUICE_DEAD_LETTER_INVALID', 'not a dead letter')
  const place = `${join(basename(dirname(file)), basename(file))}:${line}`
  return new SluiceError(code, `${place}: ${message}`, { facts: { ...facts, file, line } })
}

function unreadable(path: string, error: unknown): SluiceError {
  if (SluiceError.isInstance(error)) return error
  return new SluiceError(
    'SLUICE_DEAD_LETTERS_FAILED',
    `dead letters cannot be read from ${path}: ${messageOf(error)}`,
    {
      cause: error,
      facts: { path },
    },
  )
}
