/** No receiver holds a destination for longer by one answer: a wrong clock must not stop a stream for days. */
const MAX_RETRY_AFTER_MS = 3_600_000

/**
 * The wait that a `Retry-After` header asks for, in milliseconds: of seconds, or of an HTTP date. A date is compared with the
 * receiver's own `Date` where there is one, so that clocks that differ do no harm. At most one hour.
 *
 * See https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 *
 * @param header - the value as it came.
 * @param dateHeader - the `Date` of the same answer.
 * @param wallNow - milliseconds since the epoch, for an answer without `Date`.
 * @returns undefined where there is no header, or none that can be read.
 */
export function retryAfterMs(
  header: string | undefined,
  dateHeader: string | undefined,
  wallNow: number,
): number | undefined {
  const text = header?.trim() ?? ''
  if (text === '') return undefined
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS)
  const until = httpDate(text)
  if (until === undefined) return undefined
  const from = httpDate(dateHeader ?? '') ?? wallNow
  return Math.min(Math.max(0, until - from), MAX_RETRY_AFTER_MS)
}

/** Dates begin with the name of a day; `Date.parse` alone takes nearly any text with a number. */
function httpDate(text: string): number | undefined {
  if (!/^(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? /.test(text)) return undefined
  // The form of asctime has no time zone and means GMT, as the others do.
  const parsed = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(parsed) ? undefined : parsed
}
