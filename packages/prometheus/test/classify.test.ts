import { ALL_WRITTEN, SluiceError } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import { classifyAnswer, classifyError, type SentRequest, type WriteVerdict } from '../src/classify.ts'
import { type Answer, CredentialsError } from '../src/transport.ts'

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0)
const URL_SHOWN = 'http://receiver/api/v1/write'
const V1: SentRequest = { protocol: '1.0', shownUrl: URL_SHOWN, samples: 5, histograms: 0 }
const V2: SentRequest = { ...V1, protocol: '2.0' }

function answer(status: number, headers: Answer['headers'] = {}, text = 'because'): Answer {
  return { status, headers, text }
}

/** One word for the outcome that core is told, with the code of an error. */
function told({ outcome }: WriteVerdict): string {
  if (outcome === ALL_WRITTEN) return 'written'
  if ('retryAll' in outcome) return outcome.unknown === true ? 'retry, unknown' : 'retry'
  if ('isolate' in outcome) return 'isolate'
  if ('tooLarge' in outcome) return 'tooLarge'
  if ('fail' in outcome) return `fail ${outcome.fail.code}`
  return 'entries'
}

describe('classifyAnswer', () => {
  test.each([
    [100, 'caller', 'fail SLUICE_SINK_FAILED'],
    [101, 'caller', 'fail SLUICE_SINK_FAILED'],
    [200, 'written', 'written'],
    [202, 'written', 'written'],
    [204, 'written', 'written'],
    [299, 'written', 'written'],
    [301, 'caller', 'fail SLUICE_SINK_FAILED'],
    [304, 'caller', 'fail SLUICE_SINK_FAILED'],
    [308, 'caller', 'fail SLUICE_SINK_FAILED'],
    [400, 'refused', 'isolate'],
    [401, 'caller', 'fail SLUICE_ACCESS_DENIED'],
    [402, 'caller', 'fail SLUICE_SINK_FAILED'],
    [403, 'caller', 'fail SLUICE_ACCESS_DENIED'],
    [404, 'caller', 'fail SLUICE_DESTINATION_NOT_FOUND'],
    [405, 'caller', 'fail SLUICE_DESTINATION_NOT_FOUND'],
    [407, 'caller', 'fail SLUICE_ACCESS_DENIED'],
    [409, 'refused', 'isolate'],
    [410, 'caller', 'fail SLUICE_DESTINATION_NOT_FOUND'],
    [413, 'tooLarge', 'tooLarge'],
    [415, 'unsupported', 'fail SLUICE_SINK_FAILED'],
    [421, 'caller', 'fail SLUICE_SINK_FAILED'],
    [422, 'refused', 'isolate'],
    [429, 'busy', 'retry'],
    [408, 'busy', 'retry'],
    [425, 'busy', 'retry'],
    [498, 'refused', 'isolate'],
    [499, 'busy', 'retry'],
    [500, 'serverError', 'retry'],
    [501, 'busy', 'retry'],
    [502, 'busy', 'retry'],
    [503, 'busy', 'retry'],
    [504, 'busy', 'retry'],
    [599, 'busy', 'retry'],
    [600, 'caller', 'fail SLUICE_SINK_FAILED'],
    [0, 'caller', 'fail SLUICE_SINK_FAILED'],
  ])('status %i is %s: %s', (status, kind, outcome) => {
    const verdict = classifyAnswer(answer(status), V1, NOW)
    expect(verdict.kind).toBe(kind)
    expect(told(verdict)).toBe(outcome)
  })

  test('every status has a verdict, and only 2xx is written', () => {
    for (let status = 0; status < 1000; status++) {
      for (const sent of [V1, V2]) {
        const { kind } = classifyAnswer(answer(status), sent, NOW)
        const success = status >= 200 && status < 300
        expect(kind === 'written').toBe(success && sent.protocol === '1.0')
      }
    }
  })

  test.each([
    [429, 'retry-after', '7', 7000],
    [503, 'retry-after', 'Sat, 21 Nov 2026 12:00:30 GMT', 30_000],
    [500, 'retry-after', '7', undefined],
    [429, 'retry-after', 'soon', undefined],
    [429, 'x-nothing', '7', undefined],
  ])('status %i with %s %s waits %s', (status, name, value, afterMs) => {
    const { outcome } = classifyAnswer(answer(status, { [name]: value }), V1, NOW)
    expect('retryAll' in outcome && outcome.afterMs).toBe(afterMs)
  })

  test('the reason has the status, the words of the receiver as they are, and its request id', () => {
    const { reason } = classifyAnswer(answer(400, { 'x-request-id': 'r-1' }, 'out of order sample'), V1, NOW)
    expect(reason).toStrictEqual({
      code: 'http400',
      message: 'status 400: out of order sample',
      requestId: 'r-1',
    })
  })

  describe('2.0', () => {
    const SAMPLES = 'x-prometheus-remote-write-samples-written'
    const HISTOGRAMS = 'x-prometheus-remote-write-histograms-written'
    const EXEMPLARS = 'x-prometheus-remote-write-exemplars-written'

    test.each([
      ['all samples', { [SAMPLES]: '5' }, 'written', { samples: 5, histograms: 0, exemplars: 0 }],
      ['more than all', { [SAMPLES]: '6', [HISTOGRAMS]: '1' }, 'written', { samples: 6, histograms: 1, exemplars: 0 }],
      ['fewer', { [SAMPLES]: '4' }, 'refused', { samples: 4, histograms: 0, exemplars: 0 }],
      ['only another count', { [EXEMPLARS]: '2' }, 'refused', { samples: 0, histograms: 0, exemplars: 2 }],
      ['no count', {}, 'unconfirmed', undefined],
      ['a count that is no number', { [SAMPLES]: 'five' }, 'unconfirmed', undefined],
      ['an empty count', { [SAMPLES]: '' }, 'unconfirmed', undefined],
    ])('a success with %s', (_, headers, kind, written) => {
      const verdict = classifyAnswer(answer(204, headers), V2, NOW)
      expect(verdict.kind).toBe(kind)
      expect(verdict.written).toStrictEqual(written)
    })

    test('a refusal says what was written all the same', () => {
      const { kind, written } = classifyAnswer(answer(400, { [SAMPLES]: '3' }), V2, NOW)
      expect([kind, written]).toStrictEqual(['refused', { samples: 3, histograms: 0, exemplars: 0 }])
      expect(classifyAnswer(answer(400), V2, NOW).written).toBeUndefined()
      expect(classifyAnswer(answer(400, { [SAMPLES]: '3' }), V1, NOW).written).toBeUndefined()
    })

    test('the counts mean nothing when 1.0 was sent', () => {
      expect(classifyAnswer(answer(204, { [SAMPLES]: '0' }), V1, NOW).kind).toBe('written')
    })

    test('the error of an unknown version names the option', () => {
      const { outcome } = classifyAnswer(answer(415), V2, NOW)
      expect('fail' in outcome && outcome.fail.message).toContain("set protocol to '1.0' or 'auto'")
      const first = classifyAnswer(answer(415), V1, NOW).outcome
      expect('fail' in first && first.fail.message).toContain("set protocol to '2.0' or 'auto'")
    })
  })
})

describe('classifyError', () => {
  test.each([
    ['ECONNREFUSED', 'unreachable', 'retry'],
    ['ENOTFOUND', 'unreachable', 'retry'],
    ['EAI_AGAIN', 'unreachable', 'retry'],
    ['EHOSTUNREACH', 'unreachable', 'retry'],
    ['UND_ERR_CONNECT_TIMEOUT', 'unreachable', 'retry'],
    ['UND_ERR_HEADERS_TIMEOUT', 'cut', 'retry, unknown'],
    ['UND_ERR_BODY_TIMEOUT', 'cut', 'retry, unknown'],
    ['UND_ERR_SOCKET', 'cut', 'retry, unknown'],
    ['UND_ERR_ABORTED', 'cut', 'retry, unknown'],
    ['ECONNRESET', 'cut', 'retry, unknown'],
    ['EPIPE', 'cut', 'retry, unknown'],
    ['ETIMEDOUT', 'cut', 'retry, unknown'],
    ['what nobody knows', 'cut', 'retry, unknown'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'caller', 'fail SLUICE_SINK_FAILED'],
    ['CERT_HAS_EXPIRED', 'caller', 'fail SLUICE_SINK_FAILED'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'caller', 'fail SLUICE_SINK_FAILED'],
  ])('%s is %s: %s', (code, kind, outcome) => {
    const verdict = classifyError(error(code), URL_SHOWN, same)
    expect(verdict.kind).toBe(kind)
    expect(told(verdict)).toBe(outcome)
    expect(verdict.reason.message).toContain('what happened')
  })

  test('an answer that took too long is told from a connection that ended', () => {
    const timedOut = ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_SOCKET', 'ETIMEDOUT'].map(
      (code) => classifyError(error(code), URL_SHOWN, same).timedOut,
    )
    expect(timedOut).toStrictEqual([true, true, false, false])
  })

  test('a cause, and each of several addresses, is looked at', () => {
    const caused = error('UND_ERR_OTHER', { cause: error('ECONNREFUSED') })
    const gathered = Object.assign(new AggregateError([error('ECONNREFUSED'), error('ENETUNREACH')]), { code: 'X' })
    expect(classifyError(caused, URL_SHOWN, same).kind).toBe('unreachable')
    expect(classifyError(gathered, URL_SHOWN, same).kind).toBe('unreachable')
  })

  test.each([undefined, null, 'text', 7, {}, new TypeError('broken')])(
    '%s, which is no error of a client, may have been sent',
    (thrown) => {
      expect(classifyError(thrown, URL_SHOWN, same).kind).toBe('cut')
    },
  )

  test('a request that could not be signed does not slow the receiver down', () => {
    const failed = new CredentialsError('the request could not be signed', {
      cause: new SluiceError('SLUICE_ACCESS_DENIED', 'no role'),
    })
    const { kind, outcome, reason } = classifyError(failed, URL_SHOWN, same)
    expect(kind).toBe('unsigned')
    expect(outcome).toStrictEqual({ retryAll: reason, slowDown: false })
    expect(reason.message).toContain('no role')
  })

  test('secrets are taken out of the message', () => {
    const { reason } = classifyError(error('ECONNRESET'), URL_SHOWN, (text) => text.replace('what happened', '***'))
    expect(reason.message).not.toContain('what happened')
  })
})

function same(text: string): string {
  return text
}

function error(code: string, more: object = {}): Error {
  return Object.assign(new Error('what happened'), { code, ...more })
}
