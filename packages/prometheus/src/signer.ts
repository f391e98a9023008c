/**
 * Adds the headers of a signature, or of any other authentication, to one request. Called for every attempt, so that a request
 * that is repeated for minutes never has an old signature. May change and add headers; names are in lower case. What it throws
 * is repeated as a failed attempt, and is never charged to a record.
 *
 * `X-Prometheus-Remote-Write-Version`, `Content-Encoding`, `Content-Type` and `User-Agent` are set before; what the signer
 * changes of them is put back.
 *
 * @param headers - of the request, to be changed in place.
 * @param compressedBody - the bytes as they are sent. Must not be changed or kept.
 * @param url - where the request goes.
 * @example
 * ```ts
 * const requestSigner: PrometheusRequestSigner = (headers, body) => {
 *   headers['x-signature'] = createHmac('sha256', key).update(body).digest('hex')
 * }
 * ```
 */
export type PrometheusRequestSigner = (
  headers: Record<string, string>,
  compressedBody: Uint8Array,
  url: URL,
) => void | Promise<void>
