import { silentLogger, type CheckpointStorage, type CheckpointStore } from '@sluice/core'
import { startFauxqs, startFaultProxy, type Fauxqs, type RequestInfo } from '@sluice/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { s3Checkpoints } from '../../src/s3-checkpoints.ts'
import { checkpoint, checkpointKey, labelOf } from '../support/checkpoints.ts'
import { startConditionalS3, type ConditionalS3 } from '../support/conditional-s3.ts'

let fauxqs: Fauxqs
let s3: ConditionalS3

beforeAll(async () => {
  fauxqs = await startFauxqs()
  s3 = await startConditionalS3(fauxqs.endpoint)
  await fauxqs.createBucket('state')
})

afterAll(async () => {
  await s3[Symbol.asyncDispose]()
  await fauxqs.close()
})

function storage(prefix: string, endpoint = s3.endpoint, bucket = 'state', keep = 2): CheckpointStorage {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  return s3Checkpoints({ bucket, prefix, keep, aws: { endpoint, region: 'us-east-1', credentials } })
}

function open(prefix: string, endpoint?: string): Promise<CheckpointStore> {
  return storage(prefix, endpoint).open('hosts', silentLogger)
}

async function keysOf(prefix: string): Promise<(string | undefined)[]> {
  const listing = await (await fetch(`${fauxqs.endpoint}/state?list-type=2&prefix=${prefix}`)).text()
  return Array.from(listing.matchAll(/<Key>([^<]+)/g), (match) => match[1])
}

const isPutOf =
  (name: string) =>
  ({ method, path }: RequestInfo): boolean =>
    method === 'PUT' && path.includes(name)

test('a second process goes on, and the first one is fenced', async () => {
  await using first = await open('two')
  expect(await first.load()).toBeUndefined()
  for (let id = 1; id <= 4; id++) await first.store(checkpoint(id))
  await first.storeHint?.({ checkpointId: 4, emitted: { a: 7 } })
  await using second = await open('two')
  expect(await second.load()).toEqual(checkpoint(4))
  expect(await second.loadHint?.()).toEqual({ checkpointId: 4, emitted: { a: 7 } })
  await expect(first.store(checkpoint(5))).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED' })
  await second.store(checkpoint(5))
  // Old ones go after the store.
  await expect
    .poll(() => keysOf('two/'), { timeout: 30_000 })
    .toEqual([
      checkpointKey(1, 4, 'two/hosts'),
      checkpointKey(2, 5, 'two/hosts'),
      'two/hosts/emitted.json',
      'two/hosts/owner.json',
    ])
})

test('puts that are cut before or after they are applied are repeated, and known as its own', async () => {
  await using proxy = await startFaultProxy({ target: { host: '127.0.0.1', port: s3.port } })
  const faults = [
    proxy.faults.add({ kind: 'cutAfterApply', times: 2, match: isPutOf('owner.json') }),
    proxy.faults.add({ kind: 'cutAfterApply', times: 2, match: isPutOf(checkpointKey(1, 1)) }),
    proxy.faults.add({ kind: 'reset', times: 2, match: isPutOf(checkpointKey(1, 2)) }),
  ]
  await using store = await open('cut', proxy.endpoint)
  await store.store(checkpoint(1))
  await store.store(checkpoint(2))
  expect(labelOf(await store.load())).toBe('state 2')
  expect(faults.map(({ fired }) => fired)).toEqual([2, 2, 2])
  expect(proxy.problems).toEqual([])
})

async function putDamaged(id: number): Promise<void> {
  const url = `${fauxqs.endpoint}/state/${checkpointKey(1, id, 'pages/hosts')}`
  await (await fetch(url, { method: 'PUT', body: 'x' })).arrayBuffer()
}

test('the newest checkpoint is found on the second page of a listing', async () => {
  await Promise.all(Array.from({ length: 1010 }, (_, index) => putDamaged(index + 1)))
  await using store = await storage('pages', s3.endpoint, 'state', 1000).open('hosts', silentLogger)
  await store.store(checkpoint(1))
  await using next = await open('pages')
  expect(labelOf(await next.load())).toBe('state 1')
}, 60_000)

test('a bucket that does not exist is told as such', async () => {
  await expect(storage('x', s3.endpoint, 'nowhere').open('hosts', silentLogger)).rejects.toMatchObject({
    code: 'SLUICE_STATE_STORAGE',
    restartable: false,
    message: expect.stringContaining('the bucket nowhere does not exist') as string,
  })
})

test('a server that ignores conditions, which fauxqs itself is, is refused', async () => {
  await expect(open('plain', fauxqs.endpoint)).rejects.toMatchObject({
    code: 'SLUICE_STATE_STORAGE',
    message: expect.stringContaining('the server ignores If-None-Match') as string,
  })
})
