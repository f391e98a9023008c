import { validationError } from './errors.ts'

/** A token of SQL: text that is left alone, a word, a number, or one other character. */
const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\d+(?:\.\d+)?(?:[a-zA-Z_]\w*)?|[a-zA-Z_]\w*|\s+|[\s\S]/g

const UNITS: Readonly<Record<string, string>> = {
  us: 'microseconds',
  ms: 'milliseconds',
  s: 'seconds',
  m: 'minutes',
  h: 'hours',
  d: 'days',
  w: 'weeks',
  mo: 'months',
  y: 'years',
}
const INTERVAL = /^(\d+)(ns|us|ms|s|m|h|d|w|mo|y)$/
const MEASURE_TYPES = new Set(['double', 'bigint', 'varchar', 'boolean', 'timestamp'])
/** Words that DuckDB reads as times with a zone. */
const CLOCK_WORDS: Readonly<Record<string, string>> = {
  current_timestamp: 'now()',
  localtimestamp: 'now()',
  current_time: 'now()::TIMESTAMP::TIME',
  localtime: 'now()::TIMESTAMP::TIME',
  current_date: 'now()::DATE',
}

/**
 * Turns what DuckDB's parser does not know of Timestream's SQL into what it does: interval literals (`15m`), words for
 * the present, and the columns `measure_value::<type>`. Strings, quoted names and comments are left alone.
 *
 * @throws {ServiceError} ValidationException for nanosecond intervals, which DuckDB cannot hold.
 */
export function translate(sql: string): string {
  const tokens = sql.match(TOKEN) ?? []
  let out = ''
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] ?? ''
    const word = token.toLowerCase()
    const interval = INTERVAL.exec(token)
    if (interval !== null) {
      out += intervalLiteral(interval[1] ?? '', interval[2] ?? '')
    } else if (word === 'measure_value' && tokens[i + 1] === ':' && tokens[i + 2] === ':') {
      const type = (tokens[i + 3] ?? '').toLowerCase()
      if (!MEASURE_TYPES.has(type)) {
        out += token
        continue
      }
      out += `"measure_value::${type}"`
      i += 3
    } else if (Object.hasOwn(CLOCK_WORDS, word) && tokens[i - 1] !== '.') {
      out += CLOCK_WORDS[word]
    } else {
      out += token
    }
  }
  return out
}

function intervalLiteral(digits: string, unit: string): string {
  if (unit === 'ns') {
    throw validationError(
      `The interval ${digits}ns is finer than timestream-local computes: intervals have microseconds.`,
    )
  }
  return `INTERVAL '${digits} ${UNITS[unit] ?? ''}'`
}

/** Words that a query may start with; everything else could change something. */
const ALLOWED_START = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\()*(select|with|show|describe)\b/i

export function firstWord(sql: string): 'select' | 'with' | 'show' | 'describe' | undefined {
  return ALLOWED_START.exec(sql)?.[1]?.toLowerCase() as 'select' | 'with' | 'show' | 'describe' | undefined
}

const MISSING_FUNCTION = /Function with name "?([A-Za-z_]\w*)"? does not exist/

/** What a client is told when DuckDB refuses a query. */
export function refusal(message: string): string {
  const missing = MISSING_FUNCTION.exec(message)?.[1]
  // DuckDB would go on with names of its own functions that sound alike.
  return missing === undefined ? message : `timestream-local does not have the function ${missing}.`
}
