import { encodeCheckpoint } from '@sluice/core/internal'
import { VirtualClock } from '@sluice/core/testing'
import { expect, test } from 'vitest'

import { checkpoint, checkpointKey, labelOf, namesWhen, open, warnings } from '../support/checkpoints.ts'
import { MemoryS3, s3Error, type S3Request } from '../support/memory-s3.ts'

const OWNER = 'hosts/owner.json'
const DENIED = s3Error('AccessDenied', 403)

/** Deletes of checkpoints, which `answer` answers. */
function onDelete(s3: MemoryS3, answer: (request: S3Request) => unknown): { readonly keys: string[] } {
  const keys: string[] = []
  s3.handle = async (request) => {
    if (request.action !== 'Delete' || request.key.endsWith('-probe')) return request.apply()
    keys.push(request.key)
    return await answer(request)
  }
  return { keys }
}

/** Checkpoints that the first owner has left. */
function leftOver(s3: MemoryS3, count: number): void {
  for (let id = 1; id <= count; id++) s3.put(checkpointKey(1, id), encodeCheckpoint(checkpoint(id), 1))
}

test('a store does not wait for deletes', async () => {
  const s3 = new MemoryS3()
  const { promise: gate, resolve: release } = Promise.withResolvers<void>()
  onDelete(s3, async (request) => {
    await gate
    return request.apply()
  })
  const store = await open(s3, { keep: 1, clock: new VirtualClock() })
  for (let id = 1; id <= 5; id++) await store.store(checkpoint(id))
  expect(s3.names).toHaveLength(6)
  release()
  expect(await namesWhen(s3, 2)).toEqual([checkpointKey(1, 5), OWNER])
})

test('a backlog goes over many stores, the oldest first', async () => {
  const s3 = new MemoryS3()
  leftOver(s3, 250)
  const deletes = onDelete(s3, (request) => request.apply())
  const store = await open(s3, { keep: 1 })
  await store.load()
  for (const [id, count] of [
    [251, 151],
    [252, 52],
    [253, 1],
  ] as const) {
    await store.store(checkpoint(id))
    await expect.poll(() => s3.names.length - 1, { timeout: 30_000 }).toBe(count)
  }
  expect(deletes.keys).toEqual(deletes.keys.toSorted())
})

test('a failure is warned of once, until a delete succeeds; the rest is tried again', async () => {
  const s3 = new MemoryS3()
  let mayDelete = false
  const deletes = onDelete(s3, (request) => {
    if (!mayDelete) throw DENIED
    return request.apply()
  })
  const { logger, warned } = warnings()
  const store = await open(s3, { keep: 1, logger })
  let tried = 0
  const next = async (id: number, more: number): Promise<void> => {
    await store.store(checkpoint(id))
    tried += more
    await expect.poll(() => deletes.keys.length, { timeout: 30_000 }).toBe(tried)
  }
  await next(1, 0)
  await next(2, 1)
  await next(3, 1)
  await next(4, 1)
  expect(warned.map(([, text]) => text)).toEqual([
    'An old checkpoint could not be removed; it is tried again after the next ones',
  ])
  expect(warned[0]?.[0]).toMatchObject({ name: `s3://state/${checkpointKey(1, 1)}`, left: 1 })
  mayDelete = true
  await next(5, 4)
  expect(await namesWhen(s3, 2)).toEqual([checkpointKey(1, 5), OWNER])
  mayDelete = false
  await next(6, 1)
  expect(warned).toHaveLength(2)
})

test('an object that cannot be deleted does not keep the others', async () => {
  const s3 = new MemoryS3()
  const held = checkpointKey(1, 1)
  onDelete(s3, (request) => {
    if (request.key === held) throw DENIED
    return request.apply()
  })
  const store = await open(s3, { keep: 1 })
  for (let id = 1; id <= 4; id++) await store.store(checkpoint(id))
  expect(await namesWhen(s3, 3)).toEqual([held, checkpointKey(1, 4), OWNER])
})

test('the end waits for deletes, but not for ever', async () => {
  const s3 = new MemoryS3()
  const clock = new VirtualClock()
  const { promise: gate, resolve: release } = Promise.withResolvers<void>()
  const deletes = onDelete(s3, async (request) => {
    await gate
    return request.apply()
  })
  const first = await open(s3, { keep: 1, clock })
  for (const id of [1, 2]) await first.store(checkpoint(id))
  const ending = first[Symbol.asyncDispose]()
  release()
  await ending
  expect(s3.names).toEqual([checkpointKey(1, 2), OWNER])
  onDelete(s3, () => new Promise(() => {}))
  const { logger, warned } = warnings()
  const second = await open(s3, { keep: 1, clock, logger })
  await second.store(checkpoint(3))
  const state = { ended: false }
  const disposed = second[Symbol.asyncDispose]().then(() => (state.ended = true))
  await clock.advance(1000)
  expect(state.ended).toBe(false)
  await clock.advance(2000)
  await disposed
  expect(deletes.keys).toHaveLength(1)
  expect(warned).toEqual([])
  expect(clock.pendingTimers).toBe(0)
})

test('a load waits for the delete under way, and what was to be deleted is decided anew', async () => {
  const s3 = new MemoryS3()
  const { promise: gate, resolve: release } = Promise.withResolvers<void>()
  const deletes = onDelete(s3, async () => {
    await gate
    throw DENIED
  })
  const store = await open(s3, { keep: 1 })
  await store.load()
  for (const id of [1, 2, 3]) await store.store(checkpoint(id))
  for (const id of [2, 3]) s3.put(checkpointKey(1, id), Buffer.from('x'))
  const before = s3.requests.length
  const loading = store.load()
  await new Promise((resolve) => {
    setImmediate(resolve)
  })
  expect(s3.requests.slice(before)).toHaveLength(0)
  release()
  expect(labelOf(await loading)).toBe('state 1')
  expect(deletes.keys).toHaveLength(1)
  // The one that was loaded is the only whole one but the newest: it must not go with what was old before.
  const later = onDelete(s3, (request) => request.apply())
  await store.store(checkpoint(2))
  expect(await namesWhen(s3, 2)).toEqual([checkpointKey(2, 2), OWNER])
  expect(later.keys).toEqual([checkpointKey(1, 1), checkpointKey(1, 2), checkpointKey(1, 3)])
})

test('however many are left over, the record of the owner stays small and the next start goes on', async () => {
  const s3 = new MemoryS3()
  leftOver(s3, 3000)
  onDelete(s3, () => Promise.reject(DENIED))
  for (let start = 1; start <= 2; start++) {
    const store = await open(s3)
    expect((await store.load())?.id).toBe(3000)
    expect(s3.objects.get(OWNER)?.bytes.length).toBeLessThan(64 * 1024)
  }
  const deletes = onDelete(s3, (request) => request.apply())
  const store = await open(s3)
  await store.load()
  await store.store(checkpoint(3001))
  await expect.poll(() => deletes.keys.length, { timeout: 30_000 }).toBe(100)
  expect(deletes.keys[0]).toBe(checkpointKey(1, 1))
})
