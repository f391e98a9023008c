/** Label names and values of a series; the metric name is `__name__`. */
export type SeriesLabels = Readonly<Record<string, string>>

/** One sample of a query's answer. */
export interface QueriedSample {
  readonly labels: SeriesLabels
  readonly timestampMs: number
  readonly value: number
}

/** A series with its samples as they are stored, the oldest first. */
export interface StoredSeries {
  readonly labels: SeriesLabels
  readonly samples: readonly { readonly timestampMs: number; readonly value: number }[]
}

/** Which samples, in milliseconds since 1970, both ends included. */
export interface TimeWindow {
  /** @default 0 */
  readonly startMs?: number
  /** @default one hour from now */
  readonly endMs?: number
}

const REQUEST_DEADLINE_MS = 30_000
const MAX_ANSWER_BYTES = 256 * 1024 * 1024
const HOUR_MS = 3_600_000

/** Both ends of a window. */
export function wholeWindow({ startMs = 0, endMs = Date.now() + HOUR_MS }: TimeWindow): Required<TimeWindow> {
  return { startMs, endMs }
}

/** The HTTP query API of Prometheus, which VictoriaMetrics speaks too. */
export class PrometheusQueries {
  readonly #url: string
  readonly #parameters: Readonly<Record<string, string>>

  /** @param parameters - of the server's own, sent with each query */
  constructor(url: string, parameters: Readonly<Record<string, string>>) {
    this.#url = url
    this.#parameters = parameters
  }

  async instant(promql: string, atMs: number | undefined): Promise<readonly QueriedSample[]> {
    const data = await this.#query(promql, atMs ?? Date.now())
    if (data.resultType === 'vector') {
      return data.result.map(({ metric, value }) => ({ labels: metric, ...sample(value) }))
    }
    if (data.resultType === 'scalar') return [{ labels: {}, ...sample(data.result) }]
    throw new Error(
      `${promql} gives a ${data.resultType}: query takes instant vectors and scalars; samples takes ranges`,
    )
  }

  async series(match: string, window: TimeWindow): Promise<readonly SeriesLabels[]> {
    const { startMs, endMs } = wholeWindow(window)
    const form = { 'match[]': match, start: seconds(startMs), end: seconds(endMs) }
    return await this.#ask<readonly SeriesLabels[]>('/api/v1/series', form)
  }

  /** Evaluates `selector[window]`, a range vector selector: its answer has the samples themselves. */
  async range(selector: string, window: TimeWindow): Promise<readonly StoredSeries[]> {
    const { startMs, endMs } = wholeWindow(window)
    // Whether the start of a range belongs to it differs between versions.
    const promql = `${selector}[${endMs - startMs + 1}ms]`
    const data = await this.#query(promql, endMs)
    if (data.resultType !== 'matrix') throw new Error(`${promql} gives a ${data.resultType}, not a range of samples`)
    return data.result.map(({ metric, values }) => ({
      labels: metric,
      samples: values.map(sample).filter(({ timestampMs }) => timestampMs >= startMs && timestampMs <= endMs),
    }))
  }

  #query(promql: string, atMs: number): Promise<QueryData> {
    return this.#ask<QueryData>('/api/v1/query', { ...this.#parameters, query: promql, time: seconds(atMs) })
  }

  async #ask<T>(path: string, form: Readonly<Record<string, string>>): Promise<T> {
    const text = (await answerOf(new URL(path, this.#url), new URLSearchParams(form))).toString()
    const answer: { status: string; data: T; error?: string } = JSON.parse(text)
    if (answer.status !== 'success') throw new Error(`${path} answered ${answer.status}: ${answer.error ?? text}`)
    return answer.data
  }
}

/**
 * Posts a body, or gets where there is none.
 *
 * @throws Error for a status other than 2xx, with the answer; above 256 MiB; after 30 s
 */
export async function answerOf(
  url: URL,
  body?: URLSearchParams | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Buffer> {
  const signal = AbortSignal.timeout(REQUEST_DEADLINE_MS)
  const sent = body instanceof Buffer ? new Uint8Array(body) : body
  const answer = await fetch(url, sent === undefined ? { signal } : { signal, method: 'POST', body: sent, headers })
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`${url.pathname}: the answer exceeds ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  const received = Buffer.concat(chunks, bytes)
  if (answer.ok) return received
  throw new Error(`${url.pathname} answered ${answer.status}: ${received.toString('utf8', 0, 1_000).trim()}`)
}

/** Seconds since 1970, and the shortest decimal that gives the float back. */
type Pair = readonly [number, string]

type QueryData =
  | { readonly resultType: 'vector'; readonly result: readonly { metric: SeriesLabels; value: Pair }[] }
  | { readonly resultType: 'matrix'; readonly result: readonly { metric: SeriesLabels; values: readonly Pair[] }[] }
  | { readonly resultType: 'scalar' | 'string'; readonly result: Pair }

function sample([timeS, text]: Pair): { readonly timestampMs: number; readonly value: number } {
  return { timestampMs: Math.round(timeS * 1000), value: floatOf(text) }
}

/** @throws Error where the text is no float of Go's */
export function floatOf(text: string): number {
  const infinite = /^([+-]?)Inf(?:inity)?$/.exec(text)
  if (infinite !== null) return infinite[1] === '-' ? -Infinity : Infinity
  const value = Number(text)
  if (text === '' || (Number.isNaN(value) && text !== 'NaN')) throw new Error(`not a float: ${JSON.stringify(text)}`)
  return value
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}
