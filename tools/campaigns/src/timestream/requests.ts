import type { ExchangeObserver, RequestInfo } from '@sluice/testkit'

export const WRITE_RECORDS = 'Timestream_20181101.WriteRecords'

/** A WriteRecords request on its way to the store. */
export interface WriteRequest {
  /** Of the proxy, in the order of arrival. */
  readonly number: number
  /** The key that signed it. */
  readonly accessKeyId: string
  /** One for each record: dimensions and time. */
  readonly ids: readonly string[]
  /** What was answered; undefined where nobody answered. */
  status: number | undefined
}

/** The parts of a request's body that are read here. */
interface Body {
  readonly CommonAttributes?: Fields
  readonly Records?: readonly Fields[]
}

interface Fields {
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: string }[]
  readonly Time?: string
}

/** Taken in part: who was not taken is in the answer. */
const REJECTED = 419

/** Notes what is sent to a store, refused requests too, which leave no line in its journal. */
export class RequestLog {
  readonly requests: WriteRequest[] = []
  readonly #byNumber = new Map<number, WriteRequest>()
  readonly observer: ExchangeObserver = {
    received: (request) => this.#note(request),
    answered: ({ request: { number }, status }) => this.#answer(number, status),
    fired: ({ number }, fault) => this.#answer(number, 'status' in fault ? fault.status : undefined),
  }

  #answer(number: number, status: number | undefined): void {
    const request = this.#byNumber.get(number)
    if (request !== undefined) request.status = status
  }

  #note({ number, headers, body }: RequestInfo): void {
    if (headers['x-amz-target'] !== WRITE_RECORDS) return
    const [, accessKeyId = ''] = /Credential=([^/]+)\//.exec(headers.authorization ?? '') ?? []
    const { CommonAttributes: common = {}, Records: records = [] }: Body = JSON.parse(body.toString())
    const request: WriteRequest = {
      number,
      accessKeyId,
      ids: records.map((record) => idOf(common, record)),
      status: undefined,
    }
    this.requests.push(request)
    this.#byNumber.set(number, request)
  }
}

function idOf(common: Fields, record: Fields): string {
  const dimensions = [...(common.Dimensions ?? []), ...(record.Dimensions ?? [])]
  const sorted = dimensions.map(({ Name: name, Value: value }) => `${name}=${value}`).toSorted()
  return `${sorted.join(' ')} ${record.Time ?? common.Time}`
}

/** Requests that held a record which an earlier one had held. */
export function repeatedRequests(requests: readonly Pick<WriteRequest, 'ids'>[]): number {
  const seen = new Set<string>()
  let repeated = 0
  for (const { ids } of requests) {
    if (ids.some((id) => seen.has(id))) repeated++
    for (const id of ids) seen.add(id)
  }
  return repeated
}

/** Records of requests that were not taken, or of which nobody knows, and that came in no later request. */
export function unrepeated(requests: readonly WriteRequest[]): number {
  const last = new Map<string, number>()
  for (const { number, ids } of requests) for (const id of ids) last.set(id, number)
  return requests
    .filter(({ status }) => status !== 200 && status !== REJECTED)
    .reduce((sum, { number, ids }) => sum + ids.filter((id) => (last.get(id) ?? 0) <= number).length, 0)
}
