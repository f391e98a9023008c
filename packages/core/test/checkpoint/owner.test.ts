import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { takeOwnership } from '../../src/checkpoint/owner.ts'
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
    expect(existsSync(join(root, 'test', 'owner.sock'))).toBe(true)
    await using store = await open(root)
    await store.store({ id: 1, job: 'test', createdAtMs: 0, sources: {} })
  })

  test('a frozen owner is still the owner', async () => {
    const root = folder()
    const other = await child(root)
    other.process.kill('SIGSTOP')
    await expect(open(root)).rejects.toMatchObject({ code: 'SLUICE_STATE_OWNED' })
  })

  test('a clean end leaves nothing but the checkpoints', async () => {
    const root = folder()
    const other = await child(root, 'leave')
    expect(other.said).toBe('owned')
    if (other.process.exitCode === null) await once(other.process, 'exit')
    const store = await open(root)
    await store[Symbol.asyncDispose]()
    expect(readdirSync(join(root, 'test'))).toEqual([])
  })

  test.runIf(process.platform === 'linux')(
    'a path too long for a socket is owned all the same, whatever the temporary folder is',
    async () => {
      const root = join(folder(), 'x'.repeat(120))
      const first = await open(root)
      expect(existsSync(join(root, 'test', 'owner.sock'))).toBe(true)
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
    await expect(takeOwnership(root, '/nowhere')).rejects.toMatchObject({
      code: 'SLUICE_STATE_STORAGE',
      restartable: false,
      message: expect.stringMatching(
        /too long: a unix socket in it takes \d+ bytes, and this system allows 100; use a folder/,
      ),
    })
    expect(readdirSync(root)).toEqual([])
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
    expect(readdirSync(root)).toEqual([])
  })

  test.each(Array.from({ length: 10 }, (_, run) => run))(
    'of many that find a dead owner exactly one passes verification (%i)',
    async () => {
      const root = folder()
      mkdirSync(join(root, 'test'))
      await deadSocket(join(root, 'test', 'owner.sock'))
      const owners = await Promise.allSettled(Array.from({ length: 8 }, () => takeOwnership(join(root, 'test'))))
      const won = owners.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      const verified = await Promise.allSettled(won.map((owner) => owner.verify()))
      expect(verified.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(codes(verified)).toEqual(Array.from({ length: won.length - 1 }, () => 'SLUICE_STATE_FENCED'))
      await Promise.all(won.map((owner) => owner[Symbol.asyncDispose]()))
    },
  )
})

/** As another process does that took the owner for dead. */
async function overtake(path: string): Promise<Awaited<ReturnType<typeof takeOwnership>>> {
  unlinkSync(join(path, 'owner.sock'))
  return takeOwnership(path)
}

describe('an owner whose place was taken', () => {
  test('is told so at its next store, and nothing is stored', async () => {
    const root = folder()
    const store = await open(root)
    await using _taker = await overtake(join(root, 'test'))
    await expect(store.store({ id: 1, job: 'test', createdAtMs: 0, sources: {} })).rejects.toMatchObject({
      code: 'SLUICE_STATE_FENCED',
      restartable: false,
    })
    expect(readdirSync(join(root, 'test'))).toEqual(['owner.sock'])
    await store[Symbol.asyncDispose]()
  })

  test('is told so also when it lost its place while it wrote: what the next owner stored is not replaced', async () => {
    const root = folder()
    const store = await open(root)
    await store.store({ id: 1, job: 'test', createdAtMs: 0, sources: {} })
    const remove = setFailpoint('checkpoint:written', () => unlinkSync(join(root, 'test', 'owner.sock')))
    onTestFinished(remove)
    await expect(store.store({ id: 2, job: 'test', createdAtMs: 0, sources: {} })).rejects.toMatchObject({
      code: 'SLUICE_STATE_FENCED',
      restartable: false,
    })
    await using next = await open(root)
    expect(await next.load()).toMatchObject({ id: 1 })
    await store[Symbol.asyncDispose]()
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
    expect(await failure(clock, job.done, 1000)).toMatchObject({ code: 'SLUICE_STATE_FENCED' })
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
    expect(newest).toBe(`checkpoint-00000000000${run === 0 ? 2 : 3}.json`)
  }
})
