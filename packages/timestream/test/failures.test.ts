import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { TimestreamSinkOptions } from '../src/options.ts'
import { TimestreamSink } from '../src/sink.ts'
import { Harness, until } from './harness.ts'

beforeEach(() => {
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) vi.stubEnv(name, undefined)
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/nowhere/aws')
})

afterEach(() => {
  vi.unstubAllEnvs()
})

describe.each(['sdk', 'direct'] as const)('over the transport %s', (transport) => {
  test.for<Partial<TimestreamSinkOptions<number>>>([{}, { ensureTable: true }])(
    'a region that nobody names is an option to set, with %j',
    async (options) => {
      const harness = new Harness()
      const sink = new TimestreamSink<number>({
        databaseName: 'metrics',
        tableName: 'hosts',
        elementConverter: (cpu) => ({
          Dimensions: [{ Name: 'host', Value: 'a' }],
          MeasureName: 'cpu',
          MeasureValue: cpu,
          Time: 5,
        }),
        transport,
        credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
        ...options,
      })
      const writer = sink.createWriter(harness.context)
      await harness.write(writer, [1])
      await until('the failure', () => harness.failures.length > 0)
      await writer.close(0)
      expect(harness.failures[0]).toMatchObject({ code: 'SLUICE_OPTIONS_INVALID', facts: { table: 'hosts' } })
      expect(harness.failures[0]?.message).toBe(
        'No AWS region for Timestream: set writeClientConfig.region, AWS_REGION or a region in the AWS profile; a client of yours needs its own.',
      )
      expect(harness.settlement).toMatchObject({ settled: [], refusals: [] })
    },
  )
})
