import type { WriteRecordsRequest } from '@aws-sdk/client-timestream-write'

/** Bytes that the service bills as one write. */
const BILLED_UNIT_BYTES = 1024

/** A request for one table, as it is sent. */
export interface WriteRequest {
  readonly databaseName: string
  readonly tableName: string
  /** Records. */
  readonly count: number
  readonly measures: number
  readonly commonDimensions: number
  /** As the service meters them: common attributes once. */
  readonly bytes: number
  /** The JSON that the service reads, in UTF-8. */
  readonly body: Uint8Array
  /** The same for a client of the SDK; integers beyond 2^53 are bigints. */
  toSdk(): WriteRecordsRequest
}

/** What the service bills for a request of so many bytes. */
export function billedUnits(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / BILLED_UNIT_BYTES))
}
