import { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { expect, test } from 'vitest'
import { Tables } from '../../src/tables/tables.ts'
import { Harness, ManualClock, until } from '../harness.ts'

const DESCRIBED = JSON.stringify({
  Table: { TableStatus: 'ACTIVE', RetentionProperties: { MemoryStoreRetentionPeriodInHours: 2 } },
})

test.for([{ ensure: {} }, { ensure: undefined }])(
  'a table whose answer does not come is asked for anew, and so are others: %o',
  async ({ ensure }) => {
    const signals: AbortSignal[] = []
    const client = new TimestreamWriteClient({
      region: 'eu-west-1',
      endpoint: 'http://127.0.0.1:1',
      credentials: { accessKeyId: 'AKIAFAKE', secretAccessKey: 'fake' },
      requestHandler: {
        handle: (_: unknown, { abortSignal }: { readonly abortSignal: AbortSignal }) => {
          signals.push(abortSignal)
          if (signals.length === 1) return new Promise(() => {})
          const response = { statusCode: 200, headers: {}, body: Buffer.from(DESCRIBED) }
          return Promise.resolve({ response })
        },
      } as never,
    })
    const clock = new ManualClock()
    const { logger } = new Harness().context
    const tables = new Tables({ ensure, checksRetention: true, timeoutMs: 1000, clock, logger, client: () => client })
    const stalled = Promise.allSettled([tables.get({ databaseName: 'metrics', tableName: 'hosts' })])
    const other = tables.get({ databaseName: 'metrics', tableName: 'racks' })
    await until('the request', () => signals.length === 1)
    clock.advance(999)
    expect(signals[0]?.aborted).toBe(false)
    clock.advance(1)
    expect(signals[0]?.aborted).toBe(true)
    const reason: unknown = expect.objectContaining({ name: 'TimeoutError', code: 'ETIMEDOUT' })
    expect(await stalled).toEqual([{ status: 'rejected', reason }])
    expect(await other).toEqual({ maxAgeMs: 7_200_000 })
    expect(await tables.get({ databaseName: 'metrics', tableName: 'hosts' })).toEqual({ maxAgeMs: 7_200_000 })
    expect(signals).toHaveLength(3)
  },
)
