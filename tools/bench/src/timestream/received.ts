/** What the null server has received since it was asked before. */
export interface Received {
  /** Equal for equal sets of records. */
  readonly content: string
  readonly requests: number
  /** Of bodies. */
  readonly bytes: number
  readonly billedUnits: number
  /** As many as requests were in flight at one time. */
  readonly connections: number
  /** What it took to read and answer them. */
  readonly cpuSeconds: number
}

const TIMEOUT_MS = 120_000

/** Asks for what came since the question before. */
export async function askReceived(url: string): Promise<Received> {
  const answer = await fetch(new URL('/received', url), { signal: AbortSignal.timeout(TIMEOUT_MS) })
  return (await answer.json()) as Received
}

/** What came so far is not asked for. */
export async function forgetReceived(url: string): Promise<void> {
  const answer = await fetch(new URL('/forget', url), { signal: AbortSignal.timeout(TIMEOUT_MS) })
  await answer.text()
}
