import { messageOf } from './errors.ts'

/** The shape of pino, so that a pino logger passes as it is. Record content is never logged unless an option asks for it. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const ignore = (): void => {}

/** The default of every component: says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

export interface ConsoleLoggerOptions {
  /** The least level that is written. @default 'info' */
  readonly level?: (typeof LEVELS)[number]
  /** Takes one line, without its line end. @default writes to standard error */
  readonly write?: (line: string) => void
}

/** One JSON line a message on standard error: enough for samples and small services. */
export function consoleLogger(options: ConsoleLoggerOptions = {}): Logger {
  const least = LEVELS.indexOf(options.level ?? 'info')
  const write = options.write ?? ((line: string) => process.stderr.write(`${line}\n`))
  const at = (level: (typeof LEVELS)[number]): Logger['info'] => {
    if (LEVELS.indexOf(level) < least) return ignore
    return (fields, message) => write(jsonLine({ level, time: new Date().toISOString(), message }, fields))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Fields that cannot be written must not fail what logs them. */
function jsonLine(head: object, fields: object): string {
  try {
    return JSON.stringify({ ...head, ...fields, ...head }, plain)
  } catch (error) {
    return JSON.stringify({ ...head, fieldsNotWritten: messageOf(error) })
  }
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (!(value instanceof Error)) return value
  const code: unknown = Reflect.get(value, 'code')
  return { name: value.name, message: value.message, ...(code === undefined ? {} : { code }) }
}
