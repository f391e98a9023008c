import type { ClockSkew } from './clock-skew.ts'
import type { HeldCredentials } from './credentials.ts'
import type { Answer } from './exchange.ts'
import { metadataOf, type ResponseMetadata } from './metadata.ts'
import type { JsonService } from './options.ts'
import { parseJson } from './lossless.ts'
import { RequestError } from './request-error.ts'
import type { SdkIdentity } from './sdk-client.ts'
import { serviceError } from './service-error.ts'

/** What a service answered. */
export interface CallResult {
  /** The JSON of the answer; integers beyond 2^53 - 1 are bigints. An empty answer is `{}`. */
  readonly body: unknown
  /** As the SDK has it in `$metadata`. */
  readonly metadata: ResponseMetadata
}

/** How the request of an answer was signed, and who learns from a refusal. */
interface Signed {
  readonly service: JsonService
  readonly identity: SdkIdentity
  readonly offsetMs: number
  readonly skew: ClockSkew
  readonly credentials: HeldCredentials
}

/** Of exceptions after which other keys may be accepted. */
const REFUSED_KEYS: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
])

/** @throws the exception that the answer is; RequestError `AnswerUnreadableError`. */
export function readAnswer(answer: Answer, signed: Signed): CallResult {
  const metadata = metadataOf(answer)
  const encoding = answer.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    throw unreadable(answer, `its content-encoding is '${encoding}', which was not asked for`)
  if (answer.status < 200 || answer.status >= 300) throw refusal(answer, signed)
  if (answer.body.byteLength === 0) return { body: {}, metadata }
  try {
    return { body: parseJson(answer.body.toString()), metadata }
  } catch {
    // The error of the parser quotes the answer.
    throw unreadable(answer, 'it is not JSON')
  }
}

function refusal(answer: Answer, { service, identity, offsetMs, skew, credentials }: Signed): Error {
  const { secretAccessKey, sessionToken } = identity
  const secrets = sessionToken === undefined ? [secretAccessKey] : [sessionToken, secretAccessKey]
  const metadata = metadataOf(answer)
  const error = serviceError(answer, service, metadata, secrets)
  if (REFUSED_KEYS.has(error.name)) credentials.refused(identity)
  if (!skew.corrects(error.name, answer.headers['date'], offsetMs)) return error
  return Object.assign(error, {
    $metadata: { ...metadata, clockSkewCorrected: true },
    $retryable: { throttling: false },
  })
}

function unreadable(answer: Answer, why: string): RequestError {
  return new RequestError('AnswerUnreadableError', `the answer with status ${answer.status} cannot be read: ${why}`, {
    isSent: true,
    $metadata: metadataOf(answer),
  })
}
