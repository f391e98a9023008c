import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bench, rawRequest, record, type Bench } from './support.ts'

let local: Bench
beforeAll(async () => {
  local = await bench()
  await local.createTable()
})
beforeEach(() => {
  local.server.faults.clear()
})
afterAll(async () => {
  await local[Symbol.asyncDispose]()
})

async function control(method: string, path: string, body?: unknown, headers = {}): Promise<[number, unknown]> {
  const response = await fetch(`${local.server.endpoint}/_local/${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return [response.status, text === '' ? undefined : JSON.parse(text)]
}
const write = (more = {}): Promise<unknown> => local.write([record(more)]).catch((error: unknown) => error)

describe('the control endpoint', () => {
  it('adds faults, shows what fired, and takes them out', async () => {
    const [status, added] = await control('POST', 'faults', { kind: 'throttle', times: 2, message: 'slow' })
    const { id } = added as { id: number }
    expect([status, added]).toEqual([
      201,
      { id, fired: 0, options: { kind: 'throttle', operation: 'WriteRecords', times: 2, message: 'slow' } },
    ])
    expect(await write()).toMatchObject({ name: 'ThrottlingException', message: 'slow' })
    expect(await control('GET', 'faults')).toMatchObject([200, [{ id, fired: 1 }]])
    expect(await control('DELETE', `faults/${id}`)).toMatchObject([200, { id, fired: 1 }])
    expect(await control('DELETE', `faults/${id}`)).toMatchObject([
      404,
      { problems: [`There is no fault ${id} in force.`] },
    ])
    expect(await write()).toMatchObject({ ingested: { Total: 1 } })

    await control('POST', 'faults', { kind: 'fail', operation: '*', errorType: 'ServiceUnavailableException' })
    expect(await write()).toMatchObject({ $metadata: { httpStatusCode: 503 } })
    expect(await control('DELETE', 'faults')).toEqual([204, undefined])
    expect(await control('GET', 'faults')).toEqual([200, []])
    expect(await write()).toMatchObject({ ingested: { Total: 1 } })
  })

  it('counts requests, records by outcome, and faults that fired', async () => {
    const at = { Time: String(Date.now()), Dimensions: [{ Name: 'host', Value: 'counted' }] }
    const [, before] = (await control('GET', 'status')) as [number, Status]
    await write(at)
    await write(at)
    await write({ ...at, MeasureValue: '2' })
    await write({ ...at, MeasureValue: '2', Version: 2 })
    await control('POST', 'faults', { kind: 'cutAfterApply', times: 1 })
    await write({ ...at, MeasureValue: '3', Version: 3 })
    const [status, after] = (await control('GET', 'status')) as [number, Status]
    expect(status).toBe(200)
    const grown = (name: string): number => (after.counters[name] ?? 0) - (before.counters[name] ?? 0)
    expect(['requests', 'writes', 'stored', 'duplicate', 'rejected', 'updated'].map(grown)).toEqual([5, 5, 1, 1, 1, 2])
    expect(grown('requestBytes')).toBeGreaterThan(500)
    expect((after.faults.fired['cutAfterApply'] ?? 0) - (before.faults.fired['cutAfterApply'] ?? 0)).toBe(1)
    expect(after.faults.active).toEqual([])
  })

  it('refuses what it does not know, and web pages', async () => {
    expect(await control('POST', 'faults', { kind: 'explode', colour: 'red' })).toMatchObject([
      400,
      { problems: [expect.stringContaining('colour'), expect.stringContaining('kind must be one of')] },
    ])
    expect(await control('POST', 'faults', '{')).toMatchObject([400, { problems: ['The body is not valid JSON.'] }])
    expect(await control('POST', 'faults', [])).toMatchObject([400, {}])
    expect(await control('GET', 'nothing')).toMatchObject([404, {}])
    expect(await control('PUT', 'faults')).toMatchObject([404, {}])
    expect(await control('POST', 'faults', { kind: 'throttle' }, { origin: 'https://example.com' })).toMatchObject([
      403,
      {},
    ])
    expect((await control('POST', 'faults', 'x'.repeat(70_000)))[0]).toBe(413)
    expect(await write()).toMatchObject({ ingested: { Total: 1 } })
  })

  it('refuses options of another type than JSON should have, and adds nothing', async () => {
    const wrong = { kind: 'delay', delayMs: '5', probability: '0.5', times: '1' }
    expect(await control('POST', 'faults', wrong)).toMatchObject([
      400,
      {
        problems: [
          'times must be a whole number from 1; got 1.',
          expect.stringContaining('probability must be'),
          expect.stringContaining('delayMs must be'),
        ],
      },
    ])
    expect(local.server.faults.active).toEqual([])
  })

  it('answers to its own names only, so that no web page can point its name here', async () => {
    const { endpoint } = local.server
    for (const host of ['evil.example', '127.0.0.1.evil.example:80']) {
      expect(await rawRequest(endpoint, 'GET', '/_local/status', { host })).toMatchObject({ status: 403 })
    }
    for (const host of ['localhost:1', 'timestream.localhost', '[::1]:1', '10.0.0.1']) {
      expect(await rawRequest(endpoint, 'GET', '/_local/status', { host })).toMatchObject({ status: 200 })
    }
  })

  it('ends endpoints', async () => {
    expect(await control('POST', 'expire-endpoints')).toEqual([204, undefined])
  })
})

interface Status {
  readonly counters: Readonly<Record<string, number>>
  readonly faults: { readonly fired: Readonly<Record<string, number>>; readonly active: readonly unknown[] }
}
