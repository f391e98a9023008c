import type { CheckpointStore } from '@sluice/core'
import { VirtualClock } from '@sluice/core/testing'
import { expect, test } from 'vitest'

import { checkpoint, labelOf, open } from '../support/checkpoints.ts'
import { MemoryS3, type S3Request } from '../support/memory-s3.ts'

// Attempts of one process: one that was given up while it loads must not touch what the next one stores.

/** Keeps requests that match from going on until `release()`. */
interface Held {
  /** Resolves when the first of them is there. */
  readonly arrived: Promise<void>
  release(): void
}

/** @param when - whether the service is reached before the wait or after it. */
function hold(s3: MemoryS3, match: (request: S3Request) => boolean, when: 'applied' | 'lost' = 'lost'): Held {
  const { promise: gate, resolve: release } = Promise.withResolvers<void>()
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const handle = s3.handle
  s3.handle = async (request) => {
    if (!match(request)) return handle(request)
    arrive()
    const early = when === 'applied' ? handle(request) : undefined
    await gate
    return early ?? handle(request)
  }
  return { arrived, release }
}

/** Matches one request: the `nth` from now on, from 0. */
function nthFromNow(nth: number): () => boolean {
  let seen = 0
  return () => seen++ === nth
}

const isCheckpointPut = ({ action, key }: S3Request): boolean => action === 'Put' && key.includes('checkpoint-')

/** A process that has had an attempt. No time passes: nothing can wait for the timeout of a request. */
async function firstAttempt(s3: MemoryS3, stored: number): Promise<CheckpointStore> {
  const store = await open(s3, { clock: new VirtualClock() })
  await store.load()
  for (let id = 1; id <= stored; id++) await store.store(checkpoint(id))
  return store
}

// What a load requests: owner.json, a newer token, the list, the seal, the newest checkpoint if there is one, owner.json.
const HELD = [0, 1].flatMap((stored) =>
  Array.from({ length: 5 + stored }, (_, nth) => [
    [stored, nth, 'lost'] as const,
    [stored, nth, 'applied'] as const,
  ]).flat(),
)

test.for(HELD)(
  'after %i checkpoints, a load that was given up at its request %i, which is %s, leaves the next attempt alone',
  async ([stored, nth, when]) => {
    const s3 = new MemoryS3()
    const store = await firstAttempt(s3, stored)
    const slow = hold(s3, nthFromNow(nth), when)
    const givenUp = Promise.allSettled([store.load()])
    await slow.arrived
    expect((await store.load())?.id ?? 0).toBe(stored)
    const put = hold(s3, isCheckpointPut)
    const storing = store.store(checkpoint(stored + 1))
    await put.arrived
    slow.release()
    expect(await givenUp).toMatchObject([{ status: 'rejected', reason: { code: 'SLUICE_CLOSED' } }])
    put.release()
    await storing
    await store.store(checkpoint(stored + 2, 'newest'))
    const next = await open(s3)
    expect(labelOf(await next.load())).toBe('newest')
  },
)

test('of loads that were begun together the last one counts', async () => {
  const s3 = new MemoryS3()
  const store = await firstAttempt(s3, 1)
  const [first, second, third] = await Promise.allSettled([store.load(), store.load(), store.load()])
  expect([first.status, second.status, third.status]).toEqual(['rejected', 'rejected', 'fulfilled'])
  await store.store(checkpoint(2))
  expect((await (await open(s3)).load())?.id).toBe(2)
})

test('a load waits for a store under way, and finds what it stored', async () => {
  const s3 = new MemoryS3()
  const store = await firstAttempt(s3, 1)
  const put = hold(s3, isCheckpointPut)
  const storing = store.store(checkpoint(2))
  await put.arrived
  const before = s3.requests.length
  const loading = store.load()
  await new Promise((resolve) => {
    setImmediate(resolve)
  })
  expect(s3.requests.slice(before).map(({ action, key }) => `${action} ${key}`)).toEqual([])
  put.release()
  await storing
  expect((await loading)?.id).toBe(2)
})

test('what an attempt stores when the next one has begun to load is refused, and not put', async () => {
  const s3 = new MemoryS3()
  const store = await firstAttempt(s3, 1)
  const loading = store.load()
  await expect(store.store(checkpoint(2))).rejects.toMatchObject({ code: 'SLUICE_CLOSED' })
  expect((await loading)?.id).toBe(1)
  expect(s3.requests.filter(isCheckpointPut)).toHaveLength(1)
})
