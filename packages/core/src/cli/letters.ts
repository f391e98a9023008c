import type { ParseArgsOptionsConfig } from 'node:util'
import { readDeadLetters, type UnreadableLine } from '../dead-letters/read.ts'
import { type DeadLetter, REFUSAL_STAGES } from '../dead-letters/letter.ts'
import { positiveInteger, tell, text, UsageError } from './command.ts'

/** Options that choose letters, the same in every command. */
export const FILTER_OPTIONS: ParseArgsOptionsConfig = {
  job: { type: 'string' },
  stage: { type: 'string' },
  sink: { type: 'string' },
  reason: { type: 'string' },
  source: { type: 'string' },
  id: { type: 'string' },
  limit: { type: 'string' },
}

export const FILTER_HELP = `  --job <name>       letters of this job only
  --stage <stage>    decode, operator, convert or store
  --sink <uid>       refused by this sink
  --reason <code>    with this reason code
  --source <uid>     read from this source
  --id <id>          the letter with this id, or with an id that begins so
  --limit <n>        at most so many`

export interface Selection {
  readonly limit: number
  readonly matches: (letter: DeadLetter) => boolean
}

/** @throws UsageError */
export function selection(values: Readonly<Record<string, string | boolean | undefined>>): Selection {
  const [job, stage, sink, reason, source, id] = ['job', 'stage', 'sink', 'reason', 'source', 'id'].map((name) =>
    text(values, name),
  )
  if (stage !== undefined && !REFUSAL_STAGES.some((known) => known === stage)) {
    throw new UsageError(`--stage must be one of ${REFUSAL_STAGES.join(', ')}, got ${JSON.stringify(stage)}`)
  }
  return {
    limit: positiveInteger(values, 'limit') ?? Number.POSITIVE_INFINITY,
    matches: (letter) =>
      (job === undefined || letter.job === job) &&
      (stage === undefined || letter.stage === stage) &&
      (sink === undefined || letter.sink === sink) &&
      (reason === undefined || letter.reason.code === reason) &&
      (source === undefined || letter.origin.source === source) &&
      (id === undefined || letter.id.startsWith(id)),
  }
}

/** What was read of a folder, beside the letters. */
export interface ReadCounts {
  repeats: number
  /** Lines that are no letters; torn ones, which are none either but were never confirmed, not included. */
  unreadable: number
}

/** The chosen letters, each id once: a repeat is the same refusal again. What cannot be read is told and passed over. */
export async function* chosenLetters(
  folder: string,
  { matches, limit }: Selection,
  counts: ReadCounts,
): AsyncGenerator<DeadLetter, void, undefined> {
  const seen = new Set<string>()
  const onUnreadable = ({ file, line, error, torn }: UnreadableLine): void => {
    if (torn) return tell(`${file}:${line} is not complete: it was never confirmed, or is being written`)
    counts.unreadable++
    tell(`passed over: ${error.message}`)
  }
  let given = 0
  for await (const letter of readDeadLetters(folder, { onUnreadable })) {
    if (!matches(letter)) continue
    if (seen.has(letter.id)) {
      counts.repeats++
      continue
    }
    seen.add(letter.id)
    yield letter
    given++
    if (given >= limit) return
  }
}
