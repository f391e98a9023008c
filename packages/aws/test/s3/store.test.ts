import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'

import { SluiceError } from '@sluice/core'
import { setFailpoint, VirtualClock } from '@sluice/core/testing'
import { expect, test } from 'vitest'

import { checkpoint, checkpointKey, labelOf, namesWhen, open, warnings } from '../support/checkpoints.ts'
import { MemoryS3, reset, s3Error, type S3Request } from '../support/memory-s3.ts'

const OWNER = 'hosts/owner.json'

async function failure(promise: Promise<unknown>): Promise<SluiceError> {
  try {
    await promise
  } catch (error) {
    if (SluiceError.isInstance(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** Runs virtual time until the promise settles. */
async function inTime<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  const state = { settled: false }
  const end = (): void => void (state.settled = true)
  promise.then(end, end)
  for (let second = 0; !state.settled && second < 600; second++) await clock.advance(1000)
  if (!state.settled) throw new Error('not settled after 10 minutes')
  return promise
}

/** Answers in the place of the service, for requests that match, so many times. */
function inPlace(
  s3: MemoryS3,
  match: (request: S3Request) => boolean,
  act: (request: S3Request) => unknown,
  times = 1,
): { count: number } {
  const done = { count: 0 }
  s3.handle = async (request) => (match(request) && done.count++ < times ? await act(request) : request.apply())
  return done
}

const isCheckpointPut = ({ action, key }: S3Request): boolean => action === 'Put' && key.includes('checkpoint-')

test('stores, goes on with the next process, and keeps as many as asked', async () => {
  const s3 = new MemoryS3()
  const first = await open(s3, { keep: 2 })
  expect(await first.load()).toBeUndefined()
  for (let id = 1; id <= 4; id++) expect(await first.store(checkpoint(id))).toBeGreaterThan(100)
  expect(await namesWhen(s3, 3)).toEqual([checkpointKey(1, 3), checkpointKey(1, 4), OWNER])
  const second = await open(s3, { keep: 2 })
  expect(await second.load()).toEqual(checkpoint(4))
  await second.store(checkpoint(5))
  expect(await namesWhen(s3, 3)).toEqual([checkpointKey(1, 4), checkpointKey(2, 5), OWNER])
})

test('every put of a checkpoint or an owner has its condition', async () => {
  const s3 = new MemoryS3()
  for (let start = 1; start <= 2; start++) {
    const store = await open(s3)
    await store.load()
    await store.store(checkpoint(start))
  }
  const puts = s3.requests.filter(({ action }) => action === 'Put')
  expect(puts.filter(({ input }) => input['IfMatch'] === undefined && input['IfNoneMatch'] === undefined)).toEqual([])
  expect(puts.filter(isCheckpointPut).map(({ input }) => input['IfNoneMatch'])).toEqual(['*', '*'])
})

test('the prefix goes before the job', async () => {
  const s3 = new MemoryS3()
  const store = await open(s3, { prefix: 'sluice/eu' })
  await store.store(checkpoint(1))
  expect(s3.names).toEqual([checkpointKey(1, 1, 'sluice/eu/hosts'), 'sluice/eu/hosts/owner.json'])
})

test('an owner that was overtaken stores nothing more and says who has the checkpoints', async () => {
  const s3 = new MemoryS3()
  const old = await open(s3)
  await old.store(checkpoint(1))
  await open(s3)
  const error = await failure(old.store(checkpoint(2)))
  expect(error).toMatchObject({ code: 'SLUICE_STATE_FENCED', restartable: false })
  expect(error.facts).toMatchObject({ bucket: 'state', token: 1, newerToken: 2 })
  expect(error.message).toContain(`process ${process.pid}`)
  expect(s3.names).not.toContain(checkpointKey(1, 2))
  expect((await failure(old.load())).code).toBe('SLUICE_STATE_FENCED')
  await expect(old.storeHint?.({ checkpointId: 1, emitted: {} })).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED' })
})

test('what an old owner puts after the new one has loaded is never loaded, even where all else is damaged', async () => {
  const s3 = new MemoryS3()
  const old = await open(s3)
  await old.store(checkpoint(7, 'both'))
  let overtake: (() => Promise<void>) | undefined = async () => {
    overtake = undefined
    const next = await open(s3)
    expect(labelOf(await next.load())).toBe('both')
  }
  // The new owner starts and loads after the old one has verified its token and before its put arrives.
  s3.handle = async (request) => {
    if (isCheckpointPut(request)) await overtake?.()
    return request.apply()
  }
  expect((await failure(old.store(checkpoint(8, 'stale')))).code).toBe('SLUICE_STATE_FENCED')
  expect(s3.names).toContain(checkpointKey(1, 8))
  const third = await open(s3)
  expect(labelOf(await third.load())).toBe('both')
  await third.store(checkpoint(8, 'whole'))
  s3.put(checkpointKey(3, 8), Buffer.from('torn'))
  // The next one that stores has removed it; put it back as a request that was late by hours would.
  s3.put(checkpointKey(1, 8), s3.objects.get(checkpointKey(1, 7))?.bytes ?? Buffer.of())
  expect(labelOf(await (await open(s3)).load())).toBe('both')
})

test('objects of owners that were overtaken are removed', async () => {
  const s3 = new MemoryS3()
  const first = await open(s3)
  await first.store(checkpoint(1))
  await open(s3)
  s3.put(checkpointKey(1, 2), Buffer.from('late'))
  const third = await open(s3)
  await third.load()
  await third.store(checkpoint(2))
  expect(await namesWhen(s3, 3)).toEqual([checkpointKey(1, 1), checkpointKey(3, 2), OWNER])
})

test('a put that was applied and lost its answer is known as its own', async () => {
  const s3 = new MemoryS3()
  const clock = new VirtualClock()
  const store = await open(s3, { clock })
  const cut = inPlace(s3, isCheckpointPut, (request) => {
    request.apply()
    throw reset()
  })
  await inTime(clock, store.store(checkpoint(1)))
  expect(cut.count).toBe(2)
  expect(labelOf(await store.load())).toBe('state 1')
})

test('a start whose token was written and lost its answer goes on with that token', async () => {
  const s3 = new MemoryS3()
  const clock = new VirtualClock()
  inPlace(
    s3,
    ({ action }) => action === 'Put',
    (request) => {
      request.apply()
      throw reset()
    },
  )
  const store = await inTime(clock, open(s3, { clock }))
  await store.store(checkpoint(1))
  expect(s3.names).toContain(checkpointKey(1, 1))
})

test('an object of the same name with other bytes stops the owner', async () => {
  const s3 = new MemoryS3()
  const store = await open(s3)
  s3.put(checkpointKey(1, 1), Buffer.from('another'))
  expect((await failure(store.store(checkpoint(1)))).code).toBe('SLUICE_STATE_FENCED')
})

test('a request without an answer ends at its deadline and is repeated, a bounded number of times', async () => {
  const s3 = new MemoryS3()
  const clock = new VirtualClock()
  const store = await open(s3, { clock, requestTimeoutMs: 2000 })
  const hung = inPlace(s3, isCheckpointPut, () => new Promise(() => {}), Number.POSITIVE_INFINITY)
  const error = await failure(inTime(clock, store.store(checkpoint(1))))
  expect(error).toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: true })
  expect(error.message).toContain('no answer within requestTimeoutMs = 2000')
  expect(hung.count).toBe(5)
  expect(s3.requests.filter(isCheckpointPut).every(({ signal }) => signal.aborted)).toBe(true)
  expect(clock.pendingTimers).toBe(0)
})

test.for([
  ['SlowDown', 503],
  ['InternalError', 500],
  ['ConditionalRequestConflict', 409],
  ['RequestTimeTooSkewed', 403],
] as const)('%s is repeated', async ([name, status]) => {
  const s3 = new MemoryS3()
  const clock = new VirtualClock()
  const store = await open(s3, { clock })
  inPlace(
    s3,
    isCheckpointPut,
    () => {
      throw s3Error(name, status)
    },
    3,
  )
  await inTime(clock, store.store(checkpoint(1)))
  expect(s3.names).toContain(checkpointKey(1, 1))
})

test('a start on a server that says what it does not find when it deletes', async () => {
  const s3 = new MemoryS3()
  const missing = inPlace(
    s3,
    ({ action }) => action === 'Delete',
    () => {
      throw s3Error('NoSuchKey', 404)
    },
  )
  await open(s3)
  expect(missing.count).toBe(1)
})

test.for([
  ['Get', 's3:GetObject', OWNER],
  ['Put', 's3:PutObject', OWNER],
  ['List', 's3:ListBucket', 'hosts/checkpoint-'],
  ['Delete', 's3:DeleteObject', 'hosts/checkpoint-probe'],
] as const)('without the right to %s, the error names action, place and what is needed', async ([action, iam, key]) => {
  const s3 = new MemoryS3()
  const running = await open(s3)
  await running.store(checkpoint(1))
  inPlace(
    s3,
    (request) => request.action === action,
    () => {
      throw s3Error('AccessDenied', 403, 'Access Denied')
    },
    Number.POSITIVE_INFINITY,
  )
  const error = await failure(open(s3))
  expect(error).toMatchObject({ code: 'SLUICE_ACCESS_DENIED', restartable: false })
  expect(error.message).toContain(`${iam} was denied on s3://state/${key}`)
  expect(error.message).toContain('s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket')
  expect(error.facts).toMatchObject({ bucket: 'state', action: iam, awsCode: 'AccessDenied', requestId: 'R1' })
  // The one that runs is not stopped by one that cannot.
  s3.handle = (request) => Promise.resolve(request.apply())
  await running.store(checkpoint(2))
})

test('a missing bucket, a bucket of another region and a missing region are told as such', async () => {
  const s3 = new MemoryS3()
  const missing = await failure(open(s3, { bucket: 'nowhere' }))
  expect(missing).toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: false })
  expect(missing.message).toContain('the bucket nowhere does not exist')
  s3.handle = () => Promise.reject(s3Error('PermanentRedirect', 301))
  expect((await failure(open(s3))).message).toContain('in another region: set aws.region')
  s3.handle = () => Promise.reject(new Error('Region is missing'))
  expect((await failure(open(s3))).code).toBe('SLUICE_OPTIONS_INVALID')
})

test('no secret of a signed request shows in an error', async () => {
  const s3 = new MemoryS3()
  const signed = { CanonicalRequest: 'x-amz-security-token:hunter2', StringToSign: 'hunter2' }
  s3.handle = () => Promise.reject(Object.assign(s3Error('SignatureDoesNotMatch', 403), signed))
  const error = await failure(open(s3))
  expect(error.code).toBe('SLUICE_ACCESS_DENIED')
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2')
})

test('a server that ignores conditions is refused', async () => {
  for (const header of ['IfMatch', 'IfNoneMatch']) {
    const s3 = new MemoryS3()
    s3.handle = (request) => {
      const { input } = request
      if (request.action !== 'Put' || input[header] === undefined) return Promise.resolve(request.apply())
      return Promise.resolve({ ETag: s3.put(request.key, input['Body'] as Buffer) })
    }
    const error = await failure(open(s3))
    expect(error.code).toBe('SLUICE_STATE_STORAGE')
    expect(error.message).toContain(`ignores ${header === 'IfMatch' ? 'If-Match' : 'If-None-Match'}`)
  }
})

test('a damaged checkpoint is passed over with a warning; when all are damaged the start is refused', async () => {
  const s3 = new MemoryS3()
  const first = await open(s3)
  await first.store(checkpoint(1))
  await first.store(checkpoint(2))
  const whole = s3.objects.get(checkpointKey(1, 2))?.bytes ?? Buffer.of()
  s3.put(checkpointKey(1, 2), whole.subarray(0, -1))
  const { logger, warned } = warnings()
  const store = await open(s3, { logger })
  expect(labelOf(await store.load())).toBe('state 1')
  expect(warned[0]?.[0]).toMatchObject({ used: checkpointKey(1, 1).slice(6) })
  await store.store(checkpoint(2, 'again'))
  expect(labelOf(await (await open(s3)).load())).toBe('again')
  for (const name of s3.names) if (name !== OWNER) s3.put(name, Buffer.from('x'))
  const error = await failure((await open(s3)).load())
  expect(error).toMatchObject({ code: 'SLUICE_STATE_CORRUPTED', restartable: false })
  expect(error.message).toContain('no checkpoint in s3://state/hosts/ is whole')
})

test('damaged checkpoints do not push whole ones out', async () => {
  const s3 = new MemoryS3()
  const first = await open(s3, { keep: 3 })
  for (const id of [1, 2, 3]) await first.store(checkpoint(id))
  for (const id of [2, 3]) s3.put(checkpointKey(1, id), Buffer.from('x'))
  const second = await open(s3, { keep: 3 })
  expect(labelOf(await second.load())).toBe('state 1')
  await second.store(checkpoint(2, 'second'))
  s3.put(checkpointKey(2, 2), Buffer.from('x'))
  expect(labelOf(await (await open(s3, { keep: 3 })).load())).toBe('state 1')
})

test('damaged checkpoints go when there are as many whole ones as are kept', async () => {
  const s3 = new MemoryS3()
  const store = await open(s3, { keep: 2 })
  await store.load()
  for (const id of [1, 2]) await store.store(checkpoint(id))
  s3.put(checkpointKey(1, 2), Buffer.from('x'))
  await store.load()
  for (const id of [2, 3, 4]) await store.store(checkpoint(id))
  expect(await namesWhen(s3, 3)).toEqual([checkpointKey(2, 3), checkpointKey(2, 4), OWNER])
})

test.for([
  ['Get', { ContentType: 'text/html', ContentLength: 99, ETag: '"x"' }, 'content type text/html, 99 bytes'],
  ['Get', { ContentType: 'application/xml' }, 'content type application/xml, no ETag'],
  ['List', {}, 'no IsTruncated'],
  ['List', { IsTruncated: true, Contents: [] }, 'no NextContinuationToken'],
  ['Put', {}, 'no ETag'],
] as const)(
  'an answer to a %s that is not of S3, %j, is told as such, and is no empty bucket',
  async ([action, headers, seen]) => {
    const s3 = new MemoryS3()
    const clock = new VirtualClock()
    const store = await open(s3, { clock })
    await store.load()
    await store.store(checkpoint(1))
    const bodies: Readable[] = []
    s3.handle = (request) => {
      if (request.action !== action) return Promise.resolve(request.apply())
      const body = Readable.from([Buffer.from('<html>x-amz-security-token: hunter2</html>')])
      bodies.push(body)
      return Promise.resolve({ ...headers, ...(action === 'Get' ? { Body: body } : {}) })
    }
    const error = await failure(inTime(clock, store.load()))
    expect(error).toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: true })
    expect(error.message).toContain(`what was received is not an answer of S3 (${seen})`)
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2')
    expect(action !== 'Get' || bodies.every(({ destroyed }) => destroyed)).toBe(true)
    s3.handle = (request) => Promise.resolve(request.apply())
    expect(labelOf(await store.load())).toBe('state 1')
  },
)

test.for([
  ['holds 20 bytes of HTML or XML', '<html>hunter2</html>'],
  ['holds 7 bytes that are no JSON', 'hunter2'],
  ['holds nothing', ''],
  ['is JSON of another kind', '{"format":1,"token":"x"}'],
  ['has more than 1048576 bytes', `"${'x'.repeat(1024 * 1024)}"`],
] as const)('where the record of the owner should be, an object %s: the error says so', async ([says, text]) => {
  const s3 = new MemoryS3()
  s3.put(OWNER, Buffer.from(text))
  const error = await failure(open(s3))
  expect(error).toMatchObject({ code: 'SLUICE_STATE_CORRUPTED', restartable: false })
  expect(error.message).toContain(`s3://state/hosts/owner.json ${says}, and does not say who owns`)
  expect(error.message).not.toContain('hunter2')
})

test('a newer format is refused, of a checkpoint and of the owner', async () => {
  const s3 = new MemoryS3()
  s3.put(OWNER, Buffer.from('{"format":2}'))
  expect((await failure(open(s3))).code).toBe('SLUICE_STATE_NEWER')
})

test('where a checkpoint is that cannot be used, by its format or by the job, is told by bucket and key', async () => {
  const s3 = new MemoryS3()
  const store = await open(s3)
  expect(await store.load()).toBeUndefined()
  expect(store.loadedFrom).toBeUndefined()
  await store.store(checkpoint(1))
  const key = checkpointKey(1, 1)
  const next = await open(s3)
  await next.load()
  expect(next.loadedFrom).toBe(`s3://state/${key}`)
  const [header = '', body = ''] = (s3.objects.get(key)?.bytes.toString('utf8') ?? '').split('\n')
  const signed = header.slice(0, header.indexOf(',"sha256"')).replace('"format":2', '"format":3')
  const sha256 = createHash('sha256').update(signed).update(`${body}\n`).digest('hex')
  s3.put(key, Buffer.from(`${signed},"sha256":"${sha256}"}\n${body}\n`))
  const error = await failure((await open(s3)).load())
  expect(error).toMatchObject({ code: 'SLUICE_STATE_NEWER', restartable: false, facts: { place: `s3://state/${key}` } })
  expect(error.message).toContain(`the checkpoint s3://state/${key} has format 3`)
  expect(error.message).not.toContain('folder')
})

test('where the owner was deleted, tokens go on above the checkpoints that are there', async () => {
  const s3 = new MemoryS3()
  await open(s3)
  const old = await open(s3)
  await old.store(checkpoint(3))
  s3.objects.delete(OWNER)
  expect((await failure(old.store(checkpoint(4)))).code).toBe('SLUICE_STATE_FENCED')
  const store = await open(s3)
  expect(labelOf(await store.load())).toBe('state 3')
  await store.store(checkpoint(4))
  expect(s3.names).toContain(checkpointKey(3, 4))
})

test('every page of a listing counts, and other objects do not', async () => {
  const s3 = new MemoryS3()
  const first = await open(s3, { keep: 20 })
  for (let id = 1; id <= 7; id++) await first.store(checkpoint(id))
  s3.put('hosts/checkpoint-notes.txt', Buffer.from('x'))
  s3.put('hosts-2/checkpoint-00000009-000000000009.json', Buffer.from('x'))
  s3.pageSize = 2
  expect(labelOf(await (await open(s3)).load())).toBe('state 7')
})

test('stores are made one after the other and never backwards', async () => {
  const s3 = new MemoryS3()
  const store = await open(s3)
  let running = 0
  let most = 0
  s3.handle = async (request) => {
    if (!isCheckpointPut(request)) return request.apply()
    most = Math.max(most, ++running)
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    running--
    return request.apply()
  }
  await Promise.all([store.store(checkpoint(1)), store.store(checkpoint(2)), store.store(checkpoint(3))])
  expect(most).toBe(1)
  expect((await failure(store.store(checkpoint(2, 'older')))).code).toBe('SLUICE_INTERNAL')
})

test('hints come back, may be damaged, and are not written when they are off', async () => {
  const s3 = new MemoryS3()
  const store = await open(s3)
  expect(await store.loadHint?.()).toBeUndefined()
  await store.storeHint?.({ checkpointId: 4, emitted: { a: 10 } })
  expect(await (await open(s3)).loadHint?.()).toEqual({ checkpointId: 4, emitted: { a: 10 } })
  const without = await open(s3, { hints: false })
  await without.storeHint?.({ checkpointId: 5, emitted: {} })
  expect(await without.loadHint?.()).toBeUndefined()
  s3.put('hosts/emitted.json', Buffer.from('{'))
  expect(await (await open(s3)).loadHint?.()).toBeUndefined()
})

test('a checkpoint is not reported as stored when the process was overtaken while it was written', async () => {
  const s3 = new MemoryS3()
  const old = await open(s3)
  let next: Promise<unknown> | undefined
  const remove = setFailpoint('checkpoint:written', () => {
    next = open(s3)
  })
  try {
    // The newer token may come before or after the last look at it; it is there before the next store.
    await old.store(checkpoint(1)).catch(() => undefined)
    remove()
    await next
    expect((await failure(old.store(checkpoint(2)))).code).toBe('SLUICE_STATE_FENCED')
  } finally {
    remove()
  }
})

test('dispose ends what is under way and refuses more', async () => {
  const s3 = new MemoryS3()
  const store = await open(s3)
  s3.handle = () => new Promise(() => {})
  const storing = failure(store.store(checkpoint(1)))
  await store[Symbol.asyncDispose]()
  expect((await storing).code).toBe('SLUICE_CLOSED')
  expect((await failure(store.store(checkpoint(2)))).code).toBe('SLUICE_CLOSED')
})
