import { decodeRemoteWrite, type JournalledRequest } from '@sluice/testkit'

/** A request with what it held. */
export interface SentRequest {
  readonly request: JournalledRequest
  readonly samples: readonly SentSample[]
}

export interface SentSample {
  /** Of its series alone. */
  readonly series: string
  readonly timestampMs: number
  readonly value: number
  /** Of series, time and value: equal for exact repeats. */
  readonly id: string
}

const NS_PER_MS = 1_000_000n

export function sentRequests(journal: readonly JournalledRequest[]): readonly SentRequest[] {
  return journal.map((request) => ({ request, samples: request.body === undefined ? [] : samplesOf(request.body) }))
}

function samplesOf(body: Buffer): readonly SentSample[] {
  return decodeRemoteWrite(body).flatMap(({ labels, samples }) => {
    const series = JSON.stringify(labels)
    return samples.map(({ timestampMs, value, bits }) => ({
      series,
      timestampMs,
      value,
      id: `${series} ${timestampMs} ${bits}`,
    }))
  })
}

/** Requests that held a sample which an earlier one had held. */
export function repeatedRequests(sent: readonly SentRequest[]): number {
  const seen = new Set<string>()
  let repeated = 0
  for (const { samples } of sent) {
    if (samples.some(({ id }) => seen.has(id))) repeated++
    for (const { id } of samples) seen.add(id)
  }
  return repeated
}

/** Samples of requests that had a fault instead of an answer, and that came in no later request. */
export function unrepeated(sent: readonly SentRequest[], wantsRepeat: (request: JournalledRequest) => boolean): number {
  const last = new Map<string, number>()
  for (const { request, samples } of sent) for (const { id } of samples) last.set(id, request.number)
  return sent
    .filter(({ request }) => wantsRepeat(request))
    .reduce(
      (sum, { request, samples }) => sum + samples.filter(({ id }) => (last.get(id) ?? 0) <= request.number).length,
      0,
    )
}

/** True for a 2xx of the receiver, whether the sender got it or not. */
function isTaken({ answer }: JournalledRequest): boolean {
  return answer !== undefined && answer.status >= 200 && answer.status < 300
}

/**
 * Samples that the receiver was given behind a later one of their series: exact repeats are left out, and what is left must rise
 * strictly.
 */
export function notRising(sent: readonly SentRequest[]): number {
  const seen = new Set<string>()
  const newest = new Map<string, number>()
  let behind = 0
  const taken = sent
    .flatMap(({ request, samples }) =>
      request.answer !== undefined && isTaken(request) ? [{ samples, atNs: request.answer.atNs }] : [],
    )
    .toSorted((a, b) => (a.atNs < b.atNs ? -1 : 1))
  for (const { samples } of taken) {
    for (const { series, timestampMs, id } of samples) {
      if (seen.has(id)) continue
      seen.add(id)
      if (timestampMs <= (newest.get(series) ?? -1)) behind++
      else newest.set(series, timestampMs)
    }
  }
  return behind
}

/** A request that was answered with `Retry-After`. */
export interface AskedToWait {
  readonly number: number
  readonly seconds: number
}

/**
 * Requests that came although the sender was asked to wait.
 *
 * @param graceMs - in which requests count as sent before the sender knew.
 */
export function tooEarly(
  journal: readonly JournalledRequest[],
  asked: readonly AskedToWait[],
  graceMs: number,
): number {
  const early = new Set<number>()
  for (const { number, seconds } of asked) {
    const at = journal.find((request) => request.number === number)?.fault?.atNs
    if (at === undefined) continue
    const from = at + BigInt(graceMs) * NS_PER_MS
    const to = at + BigInt(seconds * 1000) * NS_PER_MS
    for (const request of journal) if (request.atNs > from && request.atNs < to) early.add(request.number)
  }
  return early.size
}
