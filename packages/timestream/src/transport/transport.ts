import type { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import type { WriteRequest } from '../request/request.ts'

/** One discovery of the endpoint. */
export type Discovery = symbol

/** What the service answered. */
export interface WriteAnswer {
  /** `RecordsIngested.Total`, whatever it is. */
  readonly total: unknown
  /** Calls that it took. */
  readonly calls: number
}

/** Endpoints refused in a row, each discovered anew, after which the sink gives up. */
export const MAX_REDISCOVERIES = 3

/** How requests are sent. */
export interface Transport {
  /** For what is not a write: tables. */
  readonly control: TimestreamWriteClient
  /** Identifies the endpoint that a request sent now goes to, for {@link Transport.rediscover}. */
  readonly discovery: Discovery
  /** Rejects with what `classifyWriteError` judges. */
  send(request: WriteRequest, signal: AbortSignal): Promise<WriteAnswer>
  /**
   * Forgets the discovered endpoint that `refused` used.
   *
   * @returns false if new endpoints were refused too often in a row.
   */
  rediscover(refused: Discovery): boolean
  close(): Promise<void>
}

/** Calls of an error of the SDK. */
export function callsOf(error: unknown): number {
  const attempts: unknown = Reflect.get(Object(Reflect.get(Object(error), '$metadata')), 'attempts')
  return typeof attempts === 'number' ? attempts : 1
}
