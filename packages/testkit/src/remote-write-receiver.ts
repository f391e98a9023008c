import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'

import { temporaryFolder } from './folders.ts'
import {
  answerOf,
  PrometheusQueries,
  type QueriedSample,
  type SeriesLabels,
  type StoredSeries,
  type TimeWindow,
} from './prometheus-query.ts'
import { lastOutput, type NodeChild } from './spawn-node.ts'
import { waitFor } from './wait.ts'

/** Options of every receiver. */
export interface RemoteWriteReceiverOptions {
  /** Port on 127.0.0.1; 0 takes a free one. @default 0 */
  readonly port?: number
  /**
   * Where the server keeps its data. With the same folder and port, a server takes up where one that was closed or killed
   * left off. @default a temporary folder, removed on close
   */
  readonly dataFolder?: string
  /** Further flags of the server. @default none */
  readonly args?: readonly string[]
  /** Milliseconds until the server must be ready. @default 30_000 */
  readonly readyDeadlineMs?: number
}

/** A running server that takes remote write. */
export interface RemoteWriteReceiver extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** Where remote write requests go. */
  readonly remoteWriteUrl: string
  readonly port: number
  readonly pid: number
  /** Newest lines of the server's log. */
  readonly log: readonly string[]
  /**
   * Evaluates PromQL that gives an instant vector or a scalar.
   *
   * @param atMs - the time of evaluation, in milliseconds since 1970. Default: now
   * @throws Error with the server's message when it refuses
   */
  query(promql: string, atMs?: number): Promise<readonly QueriedSample[]>
  /** Label sets of the series that a selector matches and that have samples in the window. */
  series(selector: string, window?: TimeWindow): Promise<readonly SeriesLabels[]>
  /** The stored samples of the series that a selector (`'orders{shop="a"}'`) matches. */
  samples(selector: string, window?: TimeWindow): Promise<readonly StoredSeries[]>
  /**
   * Ends the process by SIGKILL, as a crash does; the data folder stays until `close`. Prometheus loses nothing that it has
   * accepted; VictoriaMetrics loses the last seconds.
   */
  kill(): Promise<void>
  /** Stops the process, by SIGTERM, then SIGKILL, and removes a temporary data folder. Idempotent. */
  close(): Promise<void>
}

/** Where a receiver keeps its data; a temporary folder is removed on disposal. */
export interface ReceiverFolder extends AsyncDisposable {
  readonly path: string
  /** The path of a temporary folder. */
  readonly leftover: string | undefined
}

/** The folder that was asked for, or a temporary one. */
export async function receiverFolder(asked: string | undefined): Promise<ReceiverFolder> {
  if (asked === undefined) {
    const folder = await temporaryFolder()
    return { path: folder.path, leftover: folder.path, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
  }
  const path = resolve(asked)
  await mkdir(path, { recursive: true })
  return { path, leftover: undefined, [Symbol.asyncDispose]: () => Promise.resolve() }
}

/** Resolves when the URL answers with a 2xx, and `accept` finds the answer good. @throws Error when the process ends first */
export async function untilReady(
  name: string,
  child: NodeChild,
  url: URL,
  deadlineMs: number,
  accept: (body: string) => boolean,
): Promise<void> {
  let ended: string | undefined
  void child.exit.then(({ code, signal }) => (ended = signal ?? `code ${code}`))
  await waitFor(async () => ended !== undefined || accept((await answerOf(url)).toString()), {
    what: `${name} to be ready at ${url.origin}`,
    deadlineMs,
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; ${lastOutput(child)}`, { cause: error })
  })
  if (ended !== undefined) throw new Error(`${name} ended (${ended}) before it was ready; ${lastOutput(child)}`)
}

/** A receiver in a process; a server may read its samples in another way. */
export class RunningReceiver implements RemoteWriteReceiver {
  readonly url: string
  readonly remoteWriteUrl: string
  readonly port: number
  readonly #queries: PrometheusQueries
  readonly #child: NodeChild
  readonly #folder: ReceiverFolder

  constructor(
    child: NodeChild,
    folder: ReceiverFolder,
    port: number,
    parameters: Readonly<Record<string, string>> = {},
  ) {
    this.#child = child
    this.#folder = folder
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    this.remoteWriteUrl = `${this.url}/api/v1/write`
    this.#queries = new PrometheusQueries(this.url, parameters)
  }

  get pid(): number {
    return this.#child.pid
  }

  get log(): readonly string[] {
    return this.#child.stderr
  }

  query(promql: string, atMs?: number): Promise<readonly QueriedSample[]> {
    return this.#queries.instant(promql, atMs)
  }

  series(selector: string, window: TimeWindow = {}): Promise<readonly SeriesLabels[]> {
    return this.#queries.series(selector, window)
  }

  samples(selector: string, window: TimeWindow = {}): Promise<readonly StoredSeries[]> {
    return this.#queries.range(selector, window)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#child.exit
  }

  async close(): Promise<void> {
    await this.#child.stop()
    await this.#folder[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
