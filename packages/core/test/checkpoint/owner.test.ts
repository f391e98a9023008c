import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { encodeCheckpoint } from '../../src/checkpoint/format.ts'
import { takeOwnership } from '../../src/checkpoint/owner.ts'
import type { Checkpoint } from '../../src/checkpoint/storage.ts'
import { fileCheckpoints, fromIterable, noRestart, silentLogger, SluiceError, stream } from '../../src/index.ts'
import { InMemorySink, InMemorySource, setFailpoint, VirtualClock } from '../../src/testing.ts'
import { failure, folder, until } from '../job/harness.ts'

/** A real process that takes the folder, and what it said about it. */
async function child(
  root: string,
  then: 'stay' | 'leave' = 'stay',
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly process: ChildProcess; readonly said: unknown }> {
  const started = fork(new URL('owner-child.ts', import.meta.url), [root, then], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  onTestFinished(() => void started.kill('SIGKILL'))
  const [said] = (await once(started, 'message')) as unknown[]
  return { process: started, said }
}

const open = (root: string): ReturnType<ReturnType<typeof fileCheckpoints>['open']> =>
  fileCheckpoints(root).open('test', silentLogger)

const checkpoint = (id: number): Checkpoint => ({ id, job: 'test', createdAtMs: 0, sources: {} })

/** How many descriptors of this process lead to the folder or into it. */
function openDescriptors(folderPath: string): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return targets.filter((target) => target === join(folderPath, 'test')).length
}

/** What a killed owner leaves behind: a socket that nobody listens on. */
async function deadSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.bound`)
  await once(server, 'listening')
  linkSync(`${path}.bound`, path)
  server.close()
  await once(server, 'close')
}

/** As a user without rights to what others have not opened to all, which root has to become first. */
async function asAnotherUser(root: string, work: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0
  for (const path of [root, join(root, 'test')]) chmodSync(path, 0o777)
  if (isRoot) process.seteuid?.(65_534)
  try {
    await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

/** Of those that were rejected. */
function codes(results: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return results.flatMap((result) =>
    result.status === 'rejected' && SluiceError.isInstance(result.reason) ? [result.reason.code] : [],
  )
}

describe('one owner', () => {
  test('a second process is refused, and says what to do', async () => {
    const root = folder()
    await using _store = await open(root)
    expect((await child(root)).said).toBe('SLUICE_STATE_OWNED')
    await expect(open(root)).rejects.toThrow(/another process owns.*stop it, or give this job a folder or a name/)
  })

  test('after kill -9 the folder is free, although the socket file is still there', async () => {
    const root = folder()
    const other = await child(root)
    expect(other.said).toBe('owned')
    await expect(open(root)).rejects.toMatchObject({ code: 'SLUICE_STATE_OWNED', restartable: false })
    other.process.kill('SIGKILL')
    await once(other.process, 'exit')
    expect(existsSync(join(root, 'test', 'owner-1'))).toBe(true)
    await using store = await open(root)
    await store.store({ id: 1, job: 'test', createdAtMs: 0, sources: {} })
  })

  test('a frozen owner is still the owner', async () => {
    const root = folder()
    const other = await child(root)
    other.process.kill('SIGSTOP')
    await expect(open(root)).rejects.toMatchObject({ code: 'SLUICE_STATE_OWNED' })
  })

  test('a clean end leaves nothing but the checkpoints and the token, which rises', async () => {
    const root = folder()
    const other = await child(root, 'leave')
    expect(other.said).toBe('owned')
    if (other.process.exitCode === null) await once(other.process, 'exit')
    expect(readdirSync(join(root, 'test'))).toEqual(['owner-1'])
    const store = await open(root)
    await store[Symbol.asyncDispose]()
    expect(readdirSync(join(root, 'test'))).toEqual(['owner-2'])
  })

  test.runIf(process.platform === 'linux')(
    'a path too long for a socket is owned all the same, whatever the temporary folder is',
    async () => {
      const root = join(folder(), 'x'.repeat(120))
      const first = await open(root)
      expect(existsSync(join(root, 'test', 'owner-1'))).toBe(true)
      expect((await child(root, 'stay', { TMPDIR: folder() })).said).toBe('SLUICE_STATE_OWNED')
      await first.store({ id: 1, job: 'test', createdAtMs: 0, sources: {} })
      await using _other = await open(`${root}y`)
      const descriptors = openDescriptors(root)
      await first[Symbol.asyncDispose]()
      expect(readdirSync(join(root, 'test')).filter((name) => name.includes('sock'))).toEqual([])
      expect([descriptors, openDescriptors(root)]).toEqual([1, 0])
      await using second = await open(root)
      expect(await second.load()).toMatchObject({ id: 1 })
    },
  )

  test('a path too long for a socket is refused where there is no other way, and says so', async () => {
    const root = join(folder(), 'x'.repeat(120))
    mkdirSync(root)
    await expect(takeOwnership(root, { openFiles: '/nowhere' })).rejects.toMatchObject({
      code: 'SLUICE_STATE_STORAGE',
      restartable: false,
      message: expect.stringMatching(
        /too long: a unix socket in it takes \d+ bytes, and this system allows 100; use a folder/,
      ),
    })
    expect(readdirSync(root)).toEqual([])
  })

  test('an owner that ran as another user is seen, alive or not', async () => {
    const root = folder()
    const first = await open(root)
    const socket = join(root, 'test', 'owner-1')
    expect(statSync(socket).mode & 0o666).toBe(0o666)
    await asAnotherUser(root, async () => {
      await expect(open(root)).rejects.toMatchObject({ code: 'SLUICE_STATE_OWNED' })
    })
    await first[Symbol.asyncDispose]()
    await asAnotherUser(root, async () => {
      await using second = await open(root)
      expect(await second.load()).toBeUndefined()
    })
  })

  test('a socket that may not be looked at is named, and nobody is said to live', async () => {
    const root = folder()
    await using _first = await open(root)
    const socket = join(root, 'test', 'owner-1')
    chmodSync(socket, 0)
    await asAnotherUser(root, async () => {
      await expect(open(root)).rejects.toMatchObject({
        code: 'SLUICE_STATE_STORAGE',
        restartable: false,
        message: expect.stringMatching(/owner-1.*EACCES|EACCES.*owner-1/),
      })
    })
  })

  test('a plain file in place of the socket does not block', async () => {
    const root = folder()
    mkdirSync(join(root, 'test'))
    writeFileSync(join(root, 'test', 'owner.sock'), '')
    await using _store = await open(root)
    expect((await child(root)).said).toBe('SLUICE_STATE_OWNED')
  })

  test('of many that start at the same moment exactly one gets a free folder', async () => {
    const root = folder()
    const owners = await Promise.allSettled(Array.from({ length: 8 }, () => takeOwnership(root)))
    const won = owners.filter((result) => result.status === 'fulfilled')
    expect(won).toHaveLength(1)
    expect(codes(owners)).toEqual(Array.from({ length: 7 }, () => 'SLUICE_STATE_OWNED'))
    await won[0]?.value.verify()
    await won[0]?.value[Symbol.asyncDispose]()
    expect(readdirSync(root)).toEqual(['owner-1'])
  })

  test('leaves nothing where it is asked to', async () => {
    const root = folder()
    const owner = await takeOwnership(root, { leavesNothing: true })
    await owner[Symbol.asyncDispose]()
    expect(readdirSync(root)).toEqual([])
  })

  test.each(Array.from({ length: 10 }, (_, run) => run))(
    'of many that find dead owners exactly one takes their place (%i)',
    async (run) => {
      const root = folder()
      await deadSocket(join(root, 'owner.sock'))
      await deadSocket(join(root, `owner-${run + 1}`))
      const owners = await Promise.allSettled(Array.from({ length: 8 }, () => takeOwnership(root)))
      const won = owners.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      expect(won).toHaveLength(1)
      expect(codes(owners)).toEqual(Array.from({ length: 7 }, () => 'SLUICE_STATE_OWNED'))
      await won[0]?.verify()
      expect(won[0]?.token).toBe(run + 2)
      expect(readdirSync(root)).toEqual([`owner-${run + 2}`])
      await won[0]?.[Symbol.asyncDispose]()
    },
  )

  test('an owner without a token, of an earlier version, is respected while it lives', async () => {
    const root = folder()
    const server = createServer().listen(join(root, 'owner.sock'))
    await once(server, 'listening')
    await expect(takeOwnership(root)).rejects.toMatchObject({ code: 'SLUICE_STATE_OWNED' })
    server.close()
    await once(server, 'close')
    const owner = await takeOwnership(root)
    await owner[Symbol.asyncDispose]()
  })

  test('what a starter left that was killed before it had a token is removed', async () => {
    const root = folder()
    await deadSocket(join(root, 'owner.sock.0123abcd'))
    const owner = await takeOwnership(root)
    expect(readdirSync(root)).toEqual(['owner-1'])
    await owner[Symbol.asyncDispose]()
  })

  test('a token is higher than that of any checkpoint, also where the owners files were not copied along', async () => {
    const root = folder()
    writeFileSync(join(root, 'checkpoint-00000041-000000000007.json'), '')
    const owner = await takeOwnership(root)
    expect(owner.token).toBe(42)
    await owner[Symbol.asyncDispose]()
  })
})

/** Does what a process on another machine does, to which the socket of the owner does not answer. */
async function elsewhere<T>(start: () => Promise<T>): Promise<T> {
  const remove = setFailpoint('owner:elsewhere', () => true)
  try {
    return await start()
  } finally {
    remove()
  }
}

const overtake = (path: string): ReturnType<typeof takeOwnership> => elsewhere(() => takeOwnership(path))

describe('an owner whose place was taken', () => {
  test('is told so at its next store, and nothing is stored', async () => {
    const root = folder()
    const store = await open(root)
    await using _taker = await overtake(join(root, 'test'))
    await expect(store.store({ id: 1, job: 'test', createdAtMs: 0, sources: {} })).rejects.toMatchObject({
      code: 'SLUICE_STATE_FENCED',
      restartable: false,
    })
    expect(readdirSync(join(root, 'test'))).toEqual(['owner-2'])
    await expect(store.load()).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED' })
    await expect(store.storeHint?.({ checkpointId: 1, emitted: {} })).rejects.toMatchObject({
      code: 'SLUICE_STATE_FENCED',
    })
    await store[Symbol.asyncDispose]()
  })

  test('is told so also when it lost its place while it wrote: nothing of it is published', async () => {
    const root = folder()
    const store = await open(root)
    await store.store(checkpoint(1))
    const path = join(root, 'test')
    const remove = setFailpoint('checkpoint:written', () => renameSync(join(path, 'owner-1'), join(path, 'owner-2')))
    onTestFinished(remove)
    await expect(store.store(checkpoint(2))).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED', restartable: false })
    expect(readdirSync(path).toSorted()).toEqual(['checkpoint-00000001-000000000001.json', 'owner-2'])
    await store[Symbol.asyncDispose]()
  })

  test('publishes nothing that the new owner or a later one uses, and is told so before it acknowledges', async () => {
    const root = folder()
    const path = join(root, 'test')
    const stale = await open(root)
    await stale.store(checkpoint(1))
    const taker = await elsewhere(() => open(root))
    expect(await taker.load()).toEqual(checkpoint(1))
    // It had looked just before the other took over, and was frozen there until now.
    writeFileSync(join(path, 'checkpoint-00000001-000000000009.json'), encodeCheckpoint(checkpoint(9), 1))
    await expect(stale.store(checkpoint(10))).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED' })
    expect(await taker.load()).toEqual(checkpoint(1))
    await stale[Symbol.asyncDispose]()
    await taker[Symbol.asyncDispose]()
    await using later = await open(root)
    expect(await later.load()).toEqual(checkpoint(1))
  })

  test('is told so when it was overtaken between its last look and the rename', async () => {
    const root = folder()
    const path = join(root, 'test')
    const stale = await open(root)
    const remove = setFailpoint('checkpoint:renamed', () => renameSync(join(path, 'owner-1'), join(path, 'owner-2')))
    onTestFinished(remove)
    await expect(stale.store(checkpoint(1))).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED' })
    await stale[Symbol.asyncDispose]()
  })

  test('is told so when the folder was removed and made anew, and another has the same token', async () => {
    const root = folder()
    const stale = await takeOwnership(root)
    renameSync(join(root, 'owner-1'), join(root, 'gone'))
    await expect(stale.verify()).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED' })
    const other = await takeOwnership(root)
    expect(other.token).toBe(stale.token)
    await expect(stale.verify()).rejects.toMatchObject({ code: 'SLUICE_STATE_FENCED' })
    await other.verify()
    await stale[Symbol.asyncDispose]()
    await other.verify()
    await other[Symbol.asyncDispose]()
  })

  test('does not take the new owner down with it when it ends', async () => {
    const root = folder()
    const store = await open(root)
    await using taker = await overtake(join(root, 'test'))
    await store[Symbol.asyncDispose]()
    await taker.verify()
    expect((await child(root)).said).toBe('SLUICE_STATE_OWNED')
  })

  test('is a storage error, not an overtaking, when the folder cannot be looked at', async () => {
    const root = folder()
    const owner = await takeOwnership(root)
    renameSync(root, `${root}-moved`)
    writeFileSync(root, 'not a folder')
    await expect(owner.verify()).rejects.toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: true })
    unlinkSync(root)
    renameSync(`${root}-moved`, root)
    await owner[Symbol.asyncDispose]()
  })

  test('stops the job without acknowledging', async () => {
    const root = folder()
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>()
    const job = stream(source)
      .sinkTo(sink)
      .start({
        name: 'test',
        clock,
        restart: noRestart(),
        checkpoints: { storage: fileCheckpoints(root), intervalMs: 1000 },
      })
    await until(clock, () => source.acknowledged.length === 1 && job.status().emitted === 1)
    await using _taker = await overtake(join(root, 'test'))
    source.push('0', 2)
    // Small steps: the disk takes real time, and a store has a deadline in the job's.
    expect(await failure(clock, job.done, 50)).toMatchObject({ code: 'SLUICE_STATE_FENCED' })
    expect(source.acknowledged).toEqual([1])
    expect(job.status().state).toBe('failed')
  })
})

test('a job on files goes on where the last process ended, with rising ids', async () => {
  const root = folder()
  const clock = new VirtualClock()
  for (const [run, expected] of [
    [0, [1, 2, 3]],
    [1, []],
  ] as const) {
    const sink = new InMemorySink<number>()
    const job = stream(fromIterable([1, 2, 3]))
      .sinkTo(sink)
      .start({ name: 'test', clock, checkpoints: { storage: fileCheckpoints(root) } })
    let done = false
    void job.done.finally(() => (done = true))
    await until(clock, () => done, 10)
    expect(await job.done).toMatchObject({ how: 'finished' })
    expect(sink.stored).toEqual(expected)
    const newest = readdirSync(join(root, 'test'))
      .filter((name) => name.startsWith('checkpoint-'))
      .toSorted()
      .at(-1)
    expect(newest).toBe(`checkpoint-0000000${run + 1}-00000000000${run === 0 ? 2 : 3}.json`)
  }
})
