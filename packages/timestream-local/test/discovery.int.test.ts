import { TimestreamWriteClient, WriteRecordsCommand } from '@aws-sdk/client-timestream-write'
import { describe, expect, it, vi } from 'vitest'
import { Discovery } from '../src/discovery.ts'
import { bench, clientConfig, DB, post, record, TABLE } from './support.ts'

const MINUTE = 60_000

describe('endpoint discovery', () => {
  it('an endpoint works for its time to live, then asks for a new one', () => {
    let now = 0
    const discovery = new Discovery(true, 2, () => now)
    const check = (key: string): string => {
      try {
        discovery.check(key, 'WriteRecords')
        return 'works'
      } catch (error) {
        return (error as Error).name
      }
    }
    expect(check('a')).toBe('UnknownOperationException')
    expect(discovery.describe('a', 'host')).toEqual({ Endpoints: [{ Address: 'host', CachePeriodInMinutes: 2 }] })
    now = 2 * MINUTE - 1
    expect([check('a'), check('b')]).toEqual(['works', 'UnknownOperationException'])
    now++
    expect([check('a'), check('a')]).toEqual(['InvalidEndpointException', 'InvalidEndpointException'])
    discovery.describe('a', 'host')
    expect(check('a')).toBe('works')
  })

  it('that is not required leaves clients with a fixed endpoint alone, also when endpoints are ended', () => {
    let now = 0
    const discovery = new Discovery(false, 1, () => now)
    discovery.describe('a', 'host')
    now = 10 * MINUTE
    discovery.check('a', 'WriteRecords')
    discovery.expireAll()
    discovery.check('fixed', 'WriteRecords')
    expect(() => {
      discovery.check('a', 'WriteRecords')
    }).toThrow(/ask DescribeEndpoints again/)
  })

  it('as the official client does it: refused without, asked once, 421 when the endpoint has ended', async () => {
    await using local = await bench({ endpointTtlMinutes: 7, requireDiscovery: true })
    const fixed = await local.write([record()]).catch((error: unknown) => error)
    expect(fixed).toMatchObject({
      name: 'UnknownOperationException',
      message: expect.stringMatching(/before DescribeEndpoints/) as string,
      $metadata: { httpStatusCode: 404 },
    })
    const described = await post(local.server.endpoint, 'DescribeEndpoints', '{}')
    expect(described.body).toEqual({ Endpoints: [{ Address: '127.0.0.1', CachePeriodInMinutes: 7 }] })

    vi.stubEnv('AWS_ENDPOINT_URL_TIMESTREAM_WRITE', local.server.endpoint)
    const { endpoint: _, ...config } = clientConfig('')
    const client = (): TimestreamWriteClient => new TimestreamWriteClient(config)
    const write = new WriteRecordsCommand({ DatabaseName: DB, TableName: TABLE, Records: [record()] })
    const discovering = client()
    await expect(discovering.send(write)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    await local.createTable()
    expect((await discovering.send(write)).RecordsIngested?.Total).toBe(1)
    local.server.expireEndpoints()
    await expect(discovering.send(write)).rejects.toMatchObject({
      name: 'InvalidEndpointException',
      $metadata: { httpStatusCode: 421 },
    })
    const rebuilt = client()
    expect((await rebuilt.send(write)).RecordsIngested?.Total).toBe(1)
    vi.unstubAllEnvs()
    discovering.destroy()
    rebuilt.destroy()
  })
})
