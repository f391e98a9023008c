import { type Reason, SluiceError } from '@sluice/core'
import type { WriteFailure } from './classify.ts'
import type { FailedWrite, FailureDecision, WriteRequestFailureHandler } from './policy.ts'
import type { Item } from './request/layout.ts'
import { ignoreRejections } from './unread.ts'

const DECISIONS: readonly unknown[] = [
  'default',
  'retry',
  'deadLetter',
  'ignore',
  'fail',
] satisfies readonly FailureDecision[]

/** What the user's handler decides; a handler that throws, or says something else, fails the job. */
export function ask(
  handler: WriteRequestFailureHandler,
  failed: FailedWrite,
): FailureDecision | { readonly fail: SluiceError } {
  let decision: FailureDecision
  try {
    decision = handler.onWriteError(failed)
  } catch (thrown) {
    return { fail: SluiceError.from(thrown, 'SLUICE_SINK_FAILED', 'failureHandlerClass.onWriteError threw') }
  }
  if (DECISIONS.includes(decision)) return decision
  ignoreRejections(decision)
  const message = `failureHandlerClass.onWriteError must return 'default', 'retry', 'deadLetter', 'ignore' or 'fail'`
  return { fail: new SluiceError('SLUICE_SINK_FAILED', message) }
}

/** A record that is not sent, and why. */
export interface Unsound {
  readonly item: Item
  readonly reason: Reason
}

/** Records that are not sent for one kind of reason, as a handler would be told if the service had been asked. */
export function refusedUnsent(unsound: readonly Unsound[]): Pick<FailedWrite, 'error' | 'failure' | 'records'> {
  const isOutside = unsound[0]?.reason.code === 'OutsideRetention'
  const message = [...new Set(unsound.map(({ reason }) => reason.message))].join('; ')
  const exception = isOutside ? 'RejectedRecordsException' : 'ValidationException'
  const failure: WriteFailure = {
    kind: isOutside ? 'other' : 'validation',
    action: isOutside ? 'rejected' : 'invalid',
    code: exception,
    exception,
    message,
    unknown: false,
    beforeRequest: true,
    slowDown: false,
  }
  return {
    error: new SluiceError('SLUICE_RECORD_REFUSED', message),
    failure,
    records: unsound.map(({ item }) => item.entry.toRecord()),
  }
}
