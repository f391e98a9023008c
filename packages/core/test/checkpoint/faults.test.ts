import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { encodeCheckpoint } from '../../src/checkpoint/format.ts'
import { checkpointName } from '../../src/checkpoint/names.ts'
import type { Checkpoint, CheckpointStore } from '../../src/checkpoint/storage.ts'
import { fileCheckpoints, silentLogger } from '../../src/index.ts'
import { folder, recorder } from '../job/harness.ts'

function checkpoint(id: number, padding = ''): Checkpoint {
  const splits = [{ splitId: 'a', next: id * 10, padding }]
  return { id, job: 'test', createdAtMs: id, sources: { memory: { stateVersion: 1, enumerator: null, splits } } }
}

const open = (root: string): Promise<CheckpointStore> => fileCheckpoints(root).open('test', silentLogger)
const names = (root: string): string[] => readdirSync(join(root, 'test')).toSorted()

/** A small file system of its own; undefined where it may not be mounted. */
function smallDisk(): string | undefined {
  const root = folder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', root], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  onTestFinished(() => void execFileSync('umount', ['-l', root]))
  return root
}

describe('damage of the newest', () => {
  test.each(['cut', 'flipped'] as const)(
    '%s at every byte: the one before, or a refusal, in a new process',
    async (how) => {
      const root = folder()
      const path = join(root, 'test')
      mkdirSync(path)
      const whole = encodeCheckpoint(checkpoint(2), 1)
      writeFileSync(join(path, checkpointName(1, 1)), encodeCheckpoint(checkpoint(1), 1))
      for (let at = 0; at < whole.length; at++) {
        const damaged = how === 'cut' ? whole.subarray(0, at) : Buffer.from(whole)
        if (how === 'flipped') damaged[at] = (whole[at] ?? 0) ^ (1 << (at % 8))
        // The one before has been loaded and taken over by the owner of the last round.
        for (const name of names(root)) if (name.startsWith('checkpoint-')) rmSync(join(path, name))
        writeFileSync(join(path, checkpointName(1, 1)), encodeCheckpoint(checkpoint(1), 1))
        writeFileSync(join(path, checkpointName(1, 2)), damaged)
        const { lines, logger } = recorder()
        await using store = await fileCheckpoints(root).open('test', logger)
        expect(await store.load(), `${how} at byte ${at}`).toEqual(checkpoint(1))
        expect(lines).toMatchObject([{ level: 'warn', fields: { used: checkpointName(1, 1) } }])
      }
    },
  )

  test('a whole file under the name of another is damaged: its place in the order would be wrong', async () => {
    const root = folder()
    await using store = await open(root)
    await store.store(checkpoint(1))
    await store.store(checkpoint(2))
    const path = join(root, 'test')
    renameSync(join(path, checkpointName(1, 1)), join(path, checkpointName(1, 3)))
    expect(await store.load()).toEqual(checkpoint(2))
    writeFileSync(join(path, checkpointName(0, 9)), readFileSync(join(path, checkpointName(1, 2))))
    writeFileSync(join(path, checkpointName(7, 2)), readFileSync(join(path, checkpointName(1, 2))))
    expect(await store.load()).toEqual(checkpoint(2))
  })
})

describe('what was loaded', () => {
  test('is stored anew under the token of its owner, and once only', async () => {
    const root = folder()
    for (const token of [1, 2, 3]) {
      await using store = await open(root)
      if (token === 1) await store.store(checkpoint(1))
      expect(await store.load()).toEqual(checkpoint(1))
      expect(await store.load()).toEqual(checkpoint(1))
      expect(names(root)).toEqual([checkpointName(token, 1), `owner-${token}`])
    }
  })

  test('is older than what the owner stores, whatever the ids of earlier owners are', async () => {
    const root = folder()
    mkdirSync(join(root, 'test'))
    for (const id of [1, 2])
      writeFileSync(join(root, 'test', checkpointName(4, id)), encodeCheckpoint(checkpoint(id), 4))
    writeFileSync(join(root, 'test', checkpointName(3, 99)), encodeCheckpoint(checkpoint(99), 3))
    await using store = await open(root)
    expect(await store.load()).toEqual(checkpoint(2))
    await store.store(checkpoint(3))
    expect(await store.load()).toEqual(checkpoint(3))
  })
})

describe('what is left over', () => {
  test('of writes of earlier owners is removed at the start', async () => {
    const root = folder()
    mkdirSync(join(root, 'test'))
    for (const name of [checkpointName(0, 3), checkpointName(1, 4)])
      writeFileSync(join(root, 'test', `${name}.part`), 'x')
    await using _store = await open(root)
    expect(names(root)).toEqual(['owner-2'])
  })

  test('of a write that failed is removed at once', async () => {
    const root = smallDisk()
    if (root === undefined) return console.warn('SKIPPED: a full disk cannot be made here (mount)')
    const { lines, logger } = recorder()
    await using store = await fileCheckpoints(root).open('test', logger)
    await store.store(checkpoint(1))
    const before = names(root)
    await expect(store.store(checkpoint(2, 'x'.repeat(3_000_000)))).rejects.toMatchObject({
      code: 'SLUICE_STATE_STORAGE',
      restartable: true,
      message: expect.stringMatching(/cannot store checkpoint 2.*ENOSPC/) as unknown,
    })
    expect(names(root)).toEqual(before)
    expect(await store.load()).toEqual(checkpoint(1))
    await store.store(checkpoint(2))
    expect(await store.load()).toEqual(checkpoint(2))
    expect(lines).toEqual([])
  })
})

describe('a folder', () => {
  test('that cannot be written is refused at the start, and at a store', async () => {
    const root = smallDisk()
    if (root === undefined) return console.warn('SKIPPED: a read-only folder cannot be made here (mount)')
    await using store = await open(root)
    await store.store(checkpoint(1))
    execFileSync('mount', ['-o', 'remount,ro', root])
    await expect(store.store(checkpoint(2))).rejects.toMatchObject({
      code: 'SLUICE_STATE_STORAGE',
      message: expect.stringContaining('EROFS') as unknown,
    })
    await store[Symbol.asyncDispose]()
    await expect(open(root)).rejects.toMatchObject({
      code: 'SLUICE_STATE_STORAGE',
      restartable: true,
      message: expect.stringContaining('EROFS') as unknown,
    })
    execFileSync('mount', ['-o', 'remount,rw', root])
    await using next = await open(root)
    expect(await next.load()).toEqual(checkpoint(1))
  })

  test('that vanishes is a storage error, and is not made anew behind the back of its owner', async () => {
    const root = folder()
    await using store = await open(root)
    await store.store(checkpoint(1))
    const path = join(root, 'test')
    renameSync(path, `${path}-away`)
    const failure = { code: 'SLUICE_STATE_STORAGE', restartable: true }
    await expect(store.store(checkpoint(2))).rejects.toMatchObject(failure)
    await expect(store.load()).rejects.toMatchObject(failure)
    expect(existsSync(path)).toBe(false)
    // As a network file system that comes back.
    renameSync(`${path}-away`, path)
    await store.store(checkpoint(2))
    expect(await store.load()).toEqual(checkpoint(2))
  })

  test('in place of a checkpoint is an error, never passed over; in place of the owner it blocks nobody', async () => {
    const root = folder()
    mkdirSync(join(root, 'test', 'owner-3'), { recursive: true })
    await using store = await open(root)
    await store.store(checkpoint(1))
    mkdirSync(join(root, 'test', checkpointName(4, 2)))
    await expect(store.load()).rejects.toMatchObject({
      code: 'SLUICE_STATE_STORAGE',
      message: expect.stringContaining(`cannot read ${checkpointName(4, 2)}`) as unknown,
    })
    await expect(store.store(checkpoint(2))).rejects.toMatchObject({ code: 'SLUICE_STATE_STORAGE' })
  })
})
