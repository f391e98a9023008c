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
const INTERVAL = /^(\d+)(us|ms|s|m|h|d|w|mo|y)$/
const MEASURE_TYPES = new Set(['double', 'bigint', 'varchar', 'boolean', 'timestamp'])

/**
 * Turns what DuckDB's parser does not know of Timestream's SQL into what it does: interval literals (`15m`) and the
 * columns `measure_value::<type>`. Strings, quoted names and comments are left alone.
 */
export function translate(sql: string): string {
  const tokens = sql.match(TOKEN) ?? []
  let out = ''
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] ?? ''
    const interval = INTERVAL.exec(token)
    if (interval !== null) {
      out += `INTERVAL '${interval[1]} ${UNITS[interval[2] ?? ''] ?? ''}'`
    } else if (token.toLowerCase() === 'measure_value' && tokens[i + 1] === ':' && tokens[i + 2] === ':') {
      const type = (tokens[i + 3] ?? '').toLowerCase()
      if (!MEASURE_TYPES.has(type)) {
        out += token
        continue
      }
      out += `"measure_value::${type}"`
      i += 3
    } else {
      out += token
    }
  }
  return out
}

/** Words that a query may start with; everything else could change something. */
const ALLOWED_START = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\()*(select|with|show|describe)\b/i

export function firstWord(sql: string): 'select' | 'with' | 'show' | 'describe' | undefined {
  return ALLOWED_START.exec(sql)?.[1]?.toLowerCase() as 'select' | 'with' | 'show' | 'describe' | undefined
}

/** A statement about the catalogue that is answered without DuckDB. */
export type CatalogueStatement =
  | { readonly kind: 'databases' }
  | { readonly kind: 'tables'; readonly database: string }
  | { readonly kind: 'describe'; readonly database: string; readonly table: string }

const NAME = '(?:"((?:[^"]|"")+)"|([A-Za-z0-9_]+))'
const SHOW_DATABASES = /^\s*show\s+databases\s*;?\s*$/i
const SHOW_TABLES = new RegExp(`^\\s*show\\s+tables\\s+(?:from|in)\\s+${NAME}\\s*;?\\s*$`, 'i')
const DESCRIBE = new RegExp(`^\\s*describe\\s+${NAME}\\s*\\.\\s*${NAME}\\s*;?\\s*$`, 'i')

export function catalogueStatement(sql: string): CatalogueStatement | undefined {
  if (SHOW_DATABASES.test(sql)) return { kind: 'databases' }
  const tables = SHOW_TABLES.exec(sql)
  if (tables !== null) return { kind: 'tables', database: nameOf(tables, 1) }
  const describe = DESCRIBE.exec(sql)
  if (describe !== null) return { kind: 'describe', database: nameOf(describe, 1), table: nameOf(describe, 3) }
  return undefined
}

function nameOf(match: RegExpExecArray, group: number): string {
  return match[group]?.replaceAll('""', '"') ?? match[group + 1] ?? ''
}
