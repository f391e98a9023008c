import { validationError } from './errors.ts'

/**
 * A token of SQL: text that is left alone, a word, a number, or one other character. The first two are strings of DuckDB's
 * own: with escapes, and between dollar signs.
 */
const TOKEN =
  /[eE]'(?:[^'\\]|\\[\s\S]|'')*'|\$(\w*)\$[\s\S]*?\$\1\$|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\d+(?:\.\d+)?(?:[a-zA-Z_]\w*)?|[a-zA-Z_][\w$]*|\s+|[\s\S]/g

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

const SPACE = /^(?:\s|--|\/\*)/
const CAST = /^(?:try_)?cast$/

/**
 * Turns what DuckDB's parser does not know of Timestream's SQL into what it does: interval literals (`15m`), words for
 * the present, the columns `measure_value::<type>`, and TIMESTAMP, which has nanoseconds. Strings, quoted names and
 * comments are left alone.
 *
 * @throws {ServiceError} ValidationException for nanosecond intervals, which DuckDB cannot hold.
 */
export function translate(sql: string): string {
  const tokens = sql.match(TOKEN) ?? []
  let out = ''
  /** The last token that is no space or comment, and for each open parenthesis whether a cast opened it. */
  let previous = ''
  const inCast: boolean[] = []
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
    } else if (word === 'timestamp' && isTimestampType(tokens, i, previous, inCast.at(-1) === true)) {
      out += 'TIMESTAMP_NS'
    } else {
      out += token
    }
    if (token === '(') inCast.push(CAST.test(previous))
    if (token === ')') inCast.pop()
    if (!SPACE.test(token)) previous = word
  }
  return out
}

/** The type of a literal, or what a cast leads to; not a column or an alias of that name, and not a type with a zone. */
function isTimestampType(tokens: readonly string[], index: number, previous: string, inCast: boolean): boolean {
  let at = index + 1
  while (SPACE.test(tokens[at] ?? '')) at++
  const next = tokens[at] ?? ''
  return next.startsWith("'") || (inCast && previous === 'as' && next === ')')
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

/** DuckDB's words for text that is neither a BIGINT nor a TIMESTAMP_NS. */
const NO_INT64 = /(Could not convert string '[^]*' to )INT64/
const MISSING_FUNCTION = /Function with name "?([A-Za-z_]\w*)"? does not exist/

/** A cast to BIGINT; other text may be meant to be a time, such as what `time` is compared with. */
const BIGINT_CAST = /\bas\s+bigint\b/i

/**
 * What a client is told when DuckDB refuses a query.
 *
 * @param translated - what DuckDB was given.
 */
export function refusal(message: string, translated: string): string {
  const missing = MISSING_FUNCTION.exec(message)?.[1]
  // DuckDB would go on with names of its own functions that sound alike.
  if (missing === undefined) {
    const isBigint = BIGINT_CAST.test(translated) && !translated.includes('TIMESTAMP_NS')
    return message.replace(NO_INT64, `$1BIGINT${isBigint ? '' : ', or to a TIMESTAMP from 1677-09-22 to 2262-04-11'}`)
  }
  return `timestream-local does not have the function ${missing}.`
}
