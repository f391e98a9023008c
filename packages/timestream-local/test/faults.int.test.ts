import { TimestreamWriteClient, WriteRecordsCommand } from '@aws-sdk/client-timestream-write'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { TimestreamLocalError, type FaultOptions } from '../src/index.ts'
import { bench, clientConfig, DB, record, TABLE, type Bench } from './support.ts'

let local: Bench

beforeAll(async () => {
  local = await bench()
  await local.createTable()
  await local.write([record()])
})
beforeEach(() => {
  local.server.faults.clear()
})
afterAll(async () => {
  await local[Symbol.asyncDispose]()
})

const stored = async (host: string): Promise<boolean> => {
  const [row] = await local.rows(`SELECT count(*) FROM ${DB}.${TABLE} WHERE host = '${host}'`)
  return row?.[0] === '1'
}
const write = (host: string): Promise<unknown> =>
  local.write([record({ Dimensions: [{ Name: 'host', Value: host }] })]).catch((error: unknown) => error)

async function drawn(seed: number): Promise<string> {
  const fault = local.server.faults.add({ kind: 'throttle', operation: 'WriteRecords', probability: 0.5, seed })
  let hits = ''
  for (let i = 0; i < 24; i++) hits += (await write('seeded')) instanceof Error ? 'x' : '.'
  fault.remove()
  return hits
}

describe('fault switches', () => {
  it('throttle, as often as told, for the operation named', async () => {
    const fault = local.server.faults.add({
      kind: 'throttle',
      operation: 'WriteRecords',
      times: 2,
      message: 'slow down',
    })
    expect(await write('t1')).toMatchObject({
      name: 'ThrottlingException',
      message: 'slow down',
      $metadata: { httpStatusCode: 429 },
    })
    expect(await stored('t1')).toBe(false)
    expect(await write('t1')).toMatchObject({ name: 'ThrottlingException' })
    expect(await write('t1')).toMatchObject({ ingested: { Total: 1 } })
    expect(fault.fired).toBe(2)
    expect(local.server.faults.fired.throttle).toBe(2)
  })

  it.each([
    ['InternalServerException', 500],
    ['InvalidEndpointException', 421],
    ['AccessDeniedException', 403],
    ['ServiceQuotaExceededException', 402],
  ] as const)('fail with %s', async (errorType, httpStatusCode) => {
    local.server.faults.add({ kind: 'fail', operation: '*', times: 1, errorType })
    expect(await write(errorType)).toMatchObject({ name: errorType, $metadata: { httpStatusCode } })
    expect(await stored(errorType)).toBe(false)
  })

  it('cut before and after the write is applied', async () => {
    local.server.faults.add({ kind: 'cutBeforeApply', operation: 'WriteRecords', times: 1 })
    expect(await write('before')).toBeInstanceOf(Error)
    expect(await stored('before')).toBe(false)
    local.server.faults.add({ kind: 'cutAfterApply', operation: 'WriteRecords', times: 1 })
    expect(await write('after')).toBeInstanceOf(Error)
    expect(await stored('after')).toBe(true)
    const outcomes = (await local.journal()).flatMap((entry) =>
      entry.operation === 'WriteRecords'
        ? entry.records.map(({ dimensions, outcome }) => [dimensions['host'], outcome])
        : [],
    )
    expect(outcomes).toContainEqual(['after', 'stored'])
    expect(outcomes).not.toContainEqual(['before', 'stored'])
  })

  it('500 answers are lost: every request that is repeated is in the journal, and its rows are there once', async () => {
    const fault = local.server.faults.add({ kind: 'cutAfterApply', operation: 'WriteRecords', times: 500 })
    const before = local.server.counters.duplicate
    const seqBefore = (await local.journal()).length
    const hosts = Array.from({ length: 500 }, (_, i) => `lost${i}`)
    const writer = async (): Promise<void> => {
      for (let host = hosts.pop(); host !== undefined; host = hosts.pop()) {
        const records = [record({ Dimensions: [{ Name: 'host', Value: host }] })]
        let answer: unknown
        do answer = await local.write(records).catch((error: unknown) => error)
        while (answer instanceof Error)
        expect(answer).toMatchObject({ ingested: { Total: 1 } })
      }
    }
    await Promise.all([writer(), writer(), writer(), writer()])
    expect(fault.fired).toBe(500)
    expect(local.server.counters.duplicate - before).toBe(500)
    const entries = (await local.journal()).slice(seqBefore)
    const outcomes = entries.flatMap((entry) =>
      entry.operation === 'WriteRecords' ? entry.records.map(({ outcome }) => outcome) : [],
    )
    expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(500)
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(500)
    expect(
      await local.rows(`SELECT count(*), count(DISTINCT host) FROM ${DB}.${TABLE} WHERE host LIKE 'lost%'`),
    ).toEqual([['500', '500']])
  })

  it('delay, and apply although the client has gone', async () => {
    const fault = local.server.faults.add({ kind: 'delay', operation: 'WriteRecords', times: 1, delayMs: 1000 })
    const impatient = new TimestreamWriteClient({
      ...clientConfig(local.server.endpoint),
      requestHandler: new NodeHttpHandler({ requestTimeout: 50, throwOnRequestTimeout: true }),
    })
    const late = record({ Dimensions: [{ Name: 'host', Value: 'late' }] })
    const command = new WriteRecordsCommand({ DatabaseName: DB, TableName: TABLE, Records: [late] })
    await expect(impatient.send(command)).rejects.toMatchObject({ name: 'TimeoutError' })
    impatient.destroy()
    await expect.poll(() => stored('late'), { timeout: 40_000 }).toBe(true)
    expect(fault.fired).toBe(1)
  })

  it('delay, but not the end of the server', async () => {
    const ending = await bench()
    await ending.createTable()
    ending.server.faults.add({ kind: 'delay', operation: 'WriteRecords', times: 1, delayMs: 600_000 })
    const client = new TimestreamWriteClient({ ...clientConfig(ending.server.endpoint), maxAttempts: 1 })
    const command = new WriteRecordsCommand({ DatabaseName: DB, TableName: TABLE, Records: [record()] })
    const cut = client.send(command).catch((error: unknown) => error)
    await expect.poll(() => ending.server.faults.active.length, { timeout: 40_000 }).toBe(0)
    await ending[Symbol.asyncDispose]()
    expect(await cut).toBeInstanceOf(Error)
    client.destroy()
  })

  it('follow a given source of chance', async () => {
    const chances = [0.9, 0.1, 0.9]
    const fault = local.server.faults.add({
      kind: 'throttle',
      operation: 'WriteRecords',
      probability: 0.5,
      random: () => chances.shift() ?? 1,
    })
    const names = [await write('c1'), await write('c2'), await write('c3')].map((answer) => (answer as Error).name)
    expect(names).toEqual([undefined, 'ThrottlingException', undefined])
    fault.remove()
    expect(await write('c4')).toMatchObject({ ingested: { Total: 1 } })
    expect(chances).toEqual([])
  })

  it('draw the same chances from the same seed', async () => {
    const first = await drawn(1)
    expect(first).toMatch(/x/)
    expect(first).toMatch(/\./)
    expect(await drawn(1)).toBe(first)
    expect(await drawn(2)).not.toBe(first)
  })

  it('reject the records named, store the others, and journal both', async () => {
    const fault = local.server.faults.add({
      kind: 'reject',
      operation: '*',
      times: 1,
      records: [0, 2, 99],
      message: 'not today',
    })
    const hosts = ['r0', 'r1', 'r2']
    const records = hosts.map((host) => record({ Dimensions: [{ Name: 'host', Value: host }] }))
    expect(await stored('nobody')).toBe(false)
    expect(fault.fired).toBe(0)
    expect(await local.write(records)).toEqual({
      rejected: [
        { RecordIndex: 0, Reason: 'not today' },
        { RecordIndex: 2, Reason: 'not today' },
      ],
    })
    expect(fault.fired).toBe(1)
    expect(await Promise.all(hosts.map(stored))).toEqual([false, true, false])
    const entry = (await local.journal()).at(-1)
    expect(
      entry?.operation === 'WriteRecords' && entry.records.map(({ outcome, reason }) => [outcome, reason]),
    ).toEqual([
      ['rejected', 'not today'],
      ['stored', undefined],
      ['rejected', 'not today'],
    ])
    expect(await local.write(records)).toMatchObject({ ingested: { Total: 3 } })
  })

  it('expire the credentials that they hit, and no others, until they are cleared', async () => {
    const fault = local.server.faults.add({ kind: 'expireCredentials', operation: 'WriteRecords', times: 1 })
    const before = local.server.faults.fired.expireCredentials
    expect(await write('e1')).toMatchObject({
      name: 'ExpiredTokenException',
      message: 'The security token included in the request is expired',
      $metadata: { httpStatusCode: 403 },
    })
    expect(await write('e1')).toMatchObject({ name: 'ExpiredTokenException' })
    const command = new WriteRecordsCommand({ DatabaseName: DB, TableName: TABLE, Records: [record()] })
    const fresh = new TimestreamWriteClient({
      ...clientConfig(local.server.endpoint),
      credentials: { accessKeyId: 'fresh', secretAccessKey: 'x' },
    })
    expect((await fresh.send(command)).RecordsIngested?.Total).toBe(1)
    fresh.destroy()
    expect([fault.fired, local.server.faults.fired.expireCredentials - before]).toEqual([1, 2])
    local.server.faults.clear()
    expect(await stored('e1')).toBe(false)
    expect(await write('e1')).toMatchObject({ ingested: { Total: 1 } })
  })

  it('delay only when told how long', () => {
    const add = (): unknown => local.server.faults.add({ kind: 'delay', operation: '*' })
    expect(add).toThrow('delayMs of delay must be given.')
    expect(local.server.faults.active).toEqual([])
  })

  it('refuse wrong options, all at once', () => {
    const wrong = {
      kind: 'explode',
      operation: '',
      times: 0,
      probability: 2,
      delayMs: -1,
      errorType: 'Oops',
      records: [100],
      seed: -1,
    } as unknown as FaultOptions
    const error: unknown = (() => {
      try {
        return local.server.faults.add(wrong)
      } catch (failure) {
        return failure
      }
    })()
    expect(TimestreamLocalError.isInstance(error) && error.problems).toHaveLength(8)
  })
})
