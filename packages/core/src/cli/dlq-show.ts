import { isUtf8 } from 'node:buffer'
import type { DeadLetter } from '../dead-letters/letter.ts'
import { shortened } from '../dead-letters/render.ts'
import { type Command, EXIT, parseCommand, printable, tell, write } from './command.ts'
import { chosenLetters, FILTER_HELP, FILTER_OPTIONS, type ReadCounts, selection } from './letters.ts'

const SHOWN_CHARACTERS = 400

export const dlqShow: Command = {
  name: 'dlq show',
  summary: 'prints dead letters of a folder',
  help: `Usage: sluice dlq show <folder or file> [options]

Prints the dead letters that fileDeadLetters() keeps in a folder, oldest first. A letter that was delivered again after a restart
is shown once. The letters hold the content of records.

${FILTER_HELP}
  --json             one letter a line, as JSON, whole
  --full             content at its full length
  --summary          how many letters there are of each job, stage, sink and reason, instead of the letters

Exit codes: 0, 1 when something could not be read, 2 when the command line is wrong.`,

  async run(args) {
    const { folder, values } = parseCommand(args, {
      ...FILTER_OPTIONS,
      json: { type: 'boolean' },
      full: { type: 'boolean' },
      summary: { type: 'boolean' },
    })
    const counts: ReadCounts = { repeats: 0, unreadable: 0 }
    const letters = chosenLetters(folder, selection(values), counts)
    const total = values['summary'] === true ? await summarize(letters) : await print(letters, values)
    const repeats = counts.repeats === 0 ? '' : `, ${counts.repeats} repeats of them not shown`
    const unreadable = counts.unreadable === 0 ? '' : `, ${counts.unreadable} lines not readable`
    tell(`${total} dead letters${repeats}${unreadable}`)
    return counts.unreadable === 0 ? EXIT.ok : EXIT.failed
  },
}

async function print(
  letters: AsyncIterable<DeadLetter>,
  { json, full }: Readonly<Record<string, string | boolean | undefined>>,
): Promise<number> {
  let total = 0
  for await (const letter of letters) {
    total++
    await write(
      json === true ? `${printable(JSON.stringify(letter))}\n` : `${describe(letter, full === true).join('\n')}\n\n`,
    )
  }
  return total
}

async function summarize(letters: AsyncIterable<DeadLetter>): Promise<number> {
  const groups = new Map<string, { count: number; newest: string; readonly cells: readonly string[] }>()
  let total = 0
  for await (const { job, stage, sink, reason, firstFailedAt } of letters) {
    total++
    const cells = [job, stage, sink ?? '-', reason.code]
    const key = JSON.stringify(cells)
    const group = groups.get(key) ?? { count: 0, newest: '', cells }
    group.count++
    if (firstFailedAt > group.newest) group.newest = firstFailedAt
    groups.set(key, group)
  }
  const rows = [...groups.values()]
    .sort((a, b) => b.count - a.count)
    .map(({ count, newest, cells }) => [String(count), ...cells, newest].map(printable))
  for (const line of table([['letters', 'job', 'stage', 'sink', 'reason', 'newest'], ...rows])) await write(`${line}\n`)
  return total
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

function describe(letter: DeadLetter, full: boolean): readonly string[] {
  const { id, job, sink, stage, reason, origin, raw, attempts, firstFailedAt, requestId } = letter
  const content = (text: string): string => printable(full ? text : shortened(text, SHOWN_CHARACTERS))
  const at = sink === null ? `at ${stage}` : `at ${stage} of sink ${sink}`
  const { source, split, position, key, headers, timestampMs } = origin
  const lines = [
    `${firstFailedAt}  ${printable(`${at}: ${reason.code}`)}: ${content(reason.message)}`,
    `  id       ${printable(id)}`,
    `  job      ${printable(job)}, ${attempts} tries${requestId === undefined ? '' : `, request ${printable(requestId)}`}`,
    `  origin   ${printable(`source ${source}, split ${split}, position ${position ?? 'unknown'}`)}`,
  ]
  if (timestampMs !== undefined) lines.push(`  time     ${isoTime(timestampMs)}`)
  if (key !== undefined) lines.push(`  key      ${content(key)}`)
  if (headers !== undefined) lines.push(`  headers  ${content(JSON.stringify(headers))}`)
  lines.push(`  raw      ${raw === null ? 'none' : content(shown(Buffer.from(raw, 'base64')))}`)
  if (letter.value !== undefined) lines.push(`  value    ${content(JSON.stringify(letter.value))}`)
  if (letter.entry !== undefined) lines.push(`  entry    ${content(JSON.stringify(letter.entry))}`)
  return lines
}

/** A date that is none must not end the list. */
function isoTime(ms: number): string {
  const time = new Date(ms)
  return Number.isNaN(time.getTime()) ? String(ms) : time.toISOString()
}

function shown(bytes: Buffer): string {
  return isUtf8(bytes)
    ? `(${bytes.length} bytes) ${bytes.toString('utf8')}`
    : `(${bytes.length} bytes, base64) ${bytes.toString('base64')}`
}
