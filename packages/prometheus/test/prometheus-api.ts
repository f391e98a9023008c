/** A bucket of a native histogram as the query API shows it. */
export type ShownBucket = readonly [boundaries: number, lower: string, upper: string, count: string]

/** A native histogram as the query API shows it. */
export interface ShownHistogram {
  readonly count: string
  readonly sum: string
  readonly buckets?: readonly ShownBucket[]
}

/** An exemplar as the query API shows it. */
export interface ShownExemplar {
  readonly labels: Readonly<Record<string, string>>
  readonly value: string
  readonly timestamp: number
}

const DEADLINE_MS = 30_000

/** The native histogram that PromQL gives for a selector of one series. */
export async function histogramAt(url: string, promql: string, atMs: number): Promise<ShownHistogram | undefined> {
  const { result } = await ask<{ result: readonly { histogram?: readonly [number, ShownHistogram] }[] }>(
    url,
    `query?query=${encodeURIComponent(promql)}&time=${atMs / 1000}`,
  )
  return result[0]?.histogram?.[1]
}

/** The exemplars of all series that a selector matches, up to an hour around a time. */
export async function exemplarsOf(url: string, promql: string, atMs: number): Promise<readonly ShownExemplar[]> {
  const [start, end] = [atMs / 1000 - 3600, atMs / 1000 + 3600]
  const found = await ask<readonly { exemplars: readonly ShownExemplar[] }[]>(
    url,
    `query_exemplars?query=${encodeURIComponent(promql)}&start=${start}&end=${end}`,
  )
  return found.flatMap(({ exemplars }) => exemplars)
}

/** @throws Error where the server does not answer with a success */
async function ask<T>(url: string, path: string): Promise<T> {
  const answer = await fetch(`${url}/api/v1/${path}`, { signal: AbortSignal.timeout(DEADLINE_MS) })
  const body: { status: string; data: T; error?: string } = JSON.parse(await answer.text())
  if (body.status !== 'success') throw new Error(`${path} was answered with ${answer.status}: ${body.error}`)
  return body.data
}
