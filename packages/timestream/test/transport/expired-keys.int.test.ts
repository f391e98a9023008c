import { CreateDatabaseCommand, CreateTableCommand, TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { fromIterable, noRestart, silentLogger, stream } from '@sluice/core'
import { readJournal, startTimestreamLocal } from '@sluice/timestream-local'
import { expect, test } from 'vitest'
import { TimestreamSink } from '../../src/index.ts'

const keysOf = (name: string) => ({
  accessKeyId: name,
  secretAccessKey: `secret-of-${name}`,
  sessionToken: `session-of-${name}`,
})

test.each(['direct', 'sdk'] as const)(
  '%s: keys that end without having said so are fetched anew',
  async (transport) => {
    const all = ['OLD', 'NEW'].map(keysOf)
    await using store = await startTimestreamLocal({ credentials: all })
    const config = { endpoint: store.endpoint, region: 'us-east-1', credentials: keysOf('NEW') }
    const client = new TimestreamWriteClient(config)
    await client.send(new CreateDatabaseCommand({ DatabaseName: 'metrics' }))
    await client.send(new CreateTableCommand({ DatabaseName: 'metrics', TableName: 'hosts' }))
    client.destroy()
    const expired = store.faults.add({ kind: 'expireCredentials', operation: 'WriteRecords', times: 1 })
    let fetches = 0
    const sink = new TimestreamSink<number>({
      databaseName: 'metrics',
      tableName: 'hosts',
      elementConverter: (n) => ({
        Dimensions: [{ Name: 'host', Value: `h${n}` }],
        MeasureName: 'cpu',
        MeasureValue: String(n),
        Time: String(Date.now()),
      }),
      transport,
      maxBatchSize: 1,
      maxInFlightRequests: 3,
      credentials: () => Promise.resolve(keysOf(fetches++ === 0 ? 'OLD' : 'NEW')),
      writeClientConfig: { endpointOverride: store.endpoint, region: 'us-east-1', maxErrorRetry: 0 },
    })
    await using job = stream(fromIterable([1, 2, 3, 4, 5]))
      .sinkTo(sink)
      .start({ name: 'keys', restart: noRestart(), logger: silentLogger })
    await job.done
    expect(expired.fired).toBe(1)
    // Requests that were refused together share a fetch.
    expect(fetches).toBe(2)
    let stored = 0
    for await (const entry of readJournal(store.journalPath)) if (entry.operation === 'WriteRecords') stored++
    expect(stored).toBe(5)
  },
)
