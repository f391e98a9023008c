import type { Answer } from './exchange.ts'
import type { ResponseMetadata } from './metadata.ts'
import { parseJson } from './lossless.ts'

/** The constructor of an exception of the AWS SDK. Each takes one object, of a type of its own. */
export type ExceptionClass = new (options: never) => Error

/** Knows the exceptions of a service. */
export interface ServiceExceptions {
  /** The class of this name, if the service has one. */
  readonly exceptions: (name: string) => ExceptionClass | undefined
  /** The class for every other name: `TimestreamWriteServiceException`. @default Error */
  readonly baseException?: ExceptionClass
}

/** Longer messages are cut. */
const MAX_MESSAGE_LENGTH = 4096

/** A name of an exception becomes a metric's and a log's: nothing else than a name is taken. */
const NAME = /^[A-Za-z_][\w.-]{0,127}$/

/** Fields that say who the error is, or that are told in another way. */
const RESERVED: ReadonlySet<string> = new Set(['__type', 'Code', 'Message', 'cause', 'code', 'isSent', 'stack'])

/**
 * The exception of an answer that is an error, as the AWS SDK throws it: an instance of the SDK's class with its fields, `$fault` and
 * `$metadata`. An answer that cannot be read, such as a proxy's page, is the base exception, named `Unknown`.
 *
 * @param secrets - taken out of every text: the service quotes the signed headers of a request whose signature it refuses.
 */
export function serviceError(
  answer: Answer,
  service: ServiceExceptions,
  metadata: ResponseMetadata,
  secrets: readonly string[],
): Error {
  const fields = fieldsOf(answer.body.toString())
  const name = nameOf(fields, answer.headers['x-amzn-errortype'])
  const told = fields['message'] ?? fields['Message']
  const text = typeof told === 'string' && told !== '' ? told : `HTTP status ${answer.status} without a message`
  const message = withoutSecrets(text, secrets).slice(0, MAX_MESSAGE_LENGTH)
  const $fault = answer.status < 500 ? 'client' : 'server'
  const own: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (isField(key)) own[key] = redacted(value, secrets)
  }
  const Modelled = service.exceptions(name)
  const Class = Modelled ?? service.baseException
  const options = { ...own, name, message, $fault, $metadata: metadata }
  const error = Class === undefined ? new Error(message) : new Class(options as never)
  // The class knows whose fault its errors are; for another name the status says it.
  const facts = { ...own, message, $metadata: metadata, ...(Modelled === undefined ? { name, $fault } : {}) }
  for (const [key, value] of Object.entries(facts)) {
    Object.defineProperty(error, key, { value, writable: true, enumerable: key !== 'message', configurable: true })
  }
  // The SDK tells messages under one name.
  Reflect.deleteProperty(error, 'Message')
  return error
}

/** A server names no field that errors, objects or the SDK have. */
function isField(key: string): boolean {
  return !RESERVED.has(key) && !key.startsWith('$') && !(key in Error.prototype)
}

function fieldsOf(body: string): Readonly<Record<string, unknown>> {
  let read: unknown
  try {
    read = parseJson(body)
  } catch {
    return {}
  }
  return typeof read === 'object' && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : {}
}

/** In the order of the SDK: `com.amazonaws.timestream#ThrottlingException`, `ThrottlingException:http://...`. */
function nameOf(fields: Readonly<Record<string, unknown>>, header: string | undefined): string {
  for (const told of [fields['__type'], fields['code'] ?? fields['Code'], header]) {
    if (typeof told !== 'string') continue
    const [plain = ''] = told.split(/[,:]/)
    const name = plain.slice(plain.indexOf('#') + 1)
    if (NAME.test(name)) return name
  }
  return 'Unknown'
}

function redacted(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === 'string') return withoutSecrets(value, secrets)
  if (Array.isArray(value)) return value.map((item) => redacted(item, secrets))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redacted(item, secrets)]))
}

/**
 * Keys of AWS have 40 characters, session tokens hundreds. What is shorter, such as the `test` that local servers are given, is no secret,
 * and stands in words of the messages by which errors are told apart.
 */
const MIN_SECRET_LENGTH = 16

function withoutSecrets(text: string, secrets: readonly string[]): string {
  let shown = text
  for (const secret of secrets) {
    if (secret.length >= MIN_SECRET_LENGTH) shown = shown.replaceAll(secret, '[secret]')
  }
  return shown
}
