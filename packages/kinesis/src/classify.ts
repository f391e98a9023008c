import { type AwsFailure, classifyAwsError } from '@sluice/aws'
import { SluiceError } from '@sluice/core'

/** What to do about a failed request. */
export type Verdict = 'expired' | 'throttled' | 'retry' | 'fatal'

export interface Judgement {
  readonly verdict: Verdict
  readonly failure: AwsFailure
}

const EXPIRED: ReadonlySet<string> = new Set(['ExpiredIteratorException', 'ExpiredNextTokenException'])

/** How services refuse a signature of another time, some of them by the name that a wrong signature has, too. */
const CLOCK_SKEW: ReadonlySet<string> = new Set([
  'InvalidSignatureException',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
])

/** Whether a request may have been refused because of the time that it was signed with, and the next one has a better one. */
export function isClockSkew(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (
    CLOCK_SKEW.has(error.name) || Reflect.get(Object(Reflect.get(error, '$metadata')), 'clockSkewCorrected') === true
  )
}

/**
 * Pure and total: what an error of a request means for this source. All its requests only read, so any may be repeated.
 *
 * @param phase - in a job that runs there were credentials, so a provider that has none or expired ones now (an instance's
 * metadata service that is slow) is asked again; at the start it is told at once.
 */
export function judge(error: unknown, phase: 'starting' | 'running'): Judgement {
  const failure = classifyAwsError(error)
  return { verdict: verdictOf(error, failure, phase), failure }
}

function verdictOf(error: unknown, { kind, code, renewable }: AwsFailure, phase: 'starting' | 'running'): Verdict {
  if (SluiceError.isInstance(error)) return 'fatal'
  if (EXPIRED.has(code)) return 'expired'
  if (kind === 'throttled') return 'throttled'
  // A stream that is being created or changed is in use.
  if (kind === 'transient' || kind === 'unknown' || code === 'ResourceInUseException') return 'retry'
  // A request was repeated already if its time may have been what is wrong.
  return phase === 'running' && renewable === true && !CLOCK_SKEW.has(code) ? 'retry' : 'fatal'
}

/**
 * The error that ends the attempt.
 *
 * @param target - the stream and where it was looked for.
 */
export function fatalError(error: unknown, target: string): SluiceError {
  if (SluiceError.isInstance(error)) return error
  const { kind, code, message, requestId } = classifyAwsError(error)
  const facts = { awsCode: code, ...(requestId === undefined ? {} : { requestId }) }
  const said = `${code}: ${message}`
  if (message === 'Region is missing') {
    return new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `${target}: no region; set aws.region, AWS_REGION or one in the AWS profile`,
      {
        cause: error,
      },
    )
  }
  if (kind === 'notFound') {
    return new SluiceError('SLUICE_SOURCE_NOT_FOUND', `${target} was not found: ${said}`, { cause: error, facts })
  }
  // With server-side encryption, a reader needs the right to use the stream's key, and the key must be usable.
  if (kind === 'accessDenied' || code.startsWith('KMS')) {
    return new SluiceError('SLUICE_ACCESS_DENIED', `no access to ${target}: ${said}`, {
      cause: error,
      facts,
      restartable: code.startsWith('Expired'),
    })
  }
  const { verdict } = judge(error, 'starting')
  return new SluiceError('SLUICE_SOURCE_FAILED', `request for ${target} failed: ${said}`, {
    cause: error,
    facts,
    restartable: verdict !== 'fatal',
  })
}
