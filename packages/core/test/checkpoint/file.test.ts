import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeCheckpoint, encodeCheckpoint } from '../../src/checkpoint/format.ts'
import { checkpointName } from '../../src/checkpoint/names.ts'
import type { Checkpoint, CheckpointStore } from '../../src/checkpoint/storage.ts'
import { fileCheckpoints, memoryCheckpoints, silentLogger, SluiceError } from '../../src/index.ts'
import { folder, recorder } from '../job/harness.ts'

function checkpoint(id: number, next = id * 10): Checkpoint {
  return {
    id,
    job: 'test',
    createdAtMs: 1_700_000_000_000 + id,
    sources: { kinesis: { stateVersion: 1, enumerator: { seen: ['ä'] }, splits: [{ splitId: 'shard-0', next }] } },
  }
}

async function withStore<T>(root: string, use: (store: CheckpointStore) => Promise<T>, keep?: number): Promise<T> {
  const storage = fileCheckpoints(root, keep === undefined ? {} : { keep })
  await using store = await storage.open('test', silentLogger)
  return await use(store)
}

const files = (root: string): string[] => readdirSync(join(root, 'test')).filter((name) => name.endsWith('.json'))
/** Of the first owner, unless another is named. */
const nameOf = (id: number, token = 1): string => checkpointName(token, id)

async function rejection(promise: Promise<unknown>): Promise<SluiceError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!SluiceError.isInstance(error)) throw new Error(`not a SluiceError: ${String(error)}`, { cause: error })
  return error
}

describe('file checkpoints', () => {
  test('give back the newest that was stored, in another process as in this one', async () => {
    const root = folder()
    await withStore(root, async (store) => {
      expect(await store.load()).toBeUndefined()
      for (const id of [1, 2]) {
        const bytes = await store.store(checkpoint(id))
        expect(bytes).toBe(statSync(join(root, 'test', nameOf(id))).size)
      }
      expect(await store.load()).toEqual(checkpoint(2))
      expect(store.loadedFrom).toBe(join(root, 'test', nameOf(2)))
    })
    await withStore(root, async (store) => {
      expect(await store.load()).toEqual(checkpoint(2))
      expect(files(root)).toContain(basename(store.loadedFrom ?? ''))
    })
  })

  test('are readable by their owner only', async () => {
    const root = folder()
    await withStore(root, (store) => store.store(checkpoint(1)))
    expect(statSync(join(root, 'test', nameOf(1))).mode & 0o077).toBe(0)
  })

  test.each([1, 2, 3, 5])('keep the newest %i', async (keep) => {
    const root = folder()
    await withStore(
      root,
      async (store) => {
        for (let id = 1; id <= 7; id++) await store.store(checkpoint(id))
      },
      keep,
    )
    expect(files(root)).toEqual(Array.from({ length: keep }, (_, index) => nameOf(8 - keep + index)))
  })

  test('keep 3 by default', async () => {
    const root = folder()
    await withStore(root, async (store) => {
      for (let id = 1; id <= 5; id++) await store.store(checkpoint(id))
    })
    expect(files(root)).toHaveLength(3)
  })

  test('never let damaged files of higher ids push out the one that was just stored', async () => {
    const root = folder()
    await withStore(root, (store) => store.store(checkpoint(1)))
    for (const id of [2, 3]) {
      for (const token of [1, 2]) writeFileSync(join(root, 'test', nameOf(id, token)), 'damaged')
    }
    await withStore(
      root,
      async (store) => {
        expect(await store.load()).toEqual(checkpoint(1))
        await store.store(checkpoint(2))
      },
      1,
    )
    expect(await withStore(root, (store) => store.load(), 1)).toEqual(checkpoint(2))
  })

  test('pay no attention to a file that was left half written', async () => {
    const root = folder()
    await withStore(root, (store) => store.store(checkpoint(1)))
    writeFileSync(join(root, 'test', `${nameOf(2)}.part`), 'half')
    writeFileSync(join(root, 'test', 'notes.txt'), 'of a person')
    await withStore(root, async (store) => {
      expect(await store.load()).toEqual(checkpoint(1))
      await store.store(checkpoint(2))
      expect(await store.load()).toEqual(checkpoint(2))
    })
    expect(readdirSync(join(root, 'test')).toSorted()).toEqual([nameOf(1, 2), nameOf(2, 2), 'notes.txt', 'owner-2'])
  })

  test('of two jobs in one folder do not meet', async () => {
    const root = folder()
    const storage = fileCheckpoints(root)
    await using a = await storage.open('a', silentLogger)
    await using b = await storage.open('b', silentLogger)
    await a.store({ ...checkpoint(1), job: 'a' })
    expect(await b.load()).toBeUndefined()
  })

  test('say which folder cannot be made, and that a restart may help', async () => {
    const root = folder()
    writeFileSync(join(root, 'file'), '')
    const error = await rejection(fileCheckpoints(join(root, 'file', 'state')).open('test', silentLogger))
    expect(error).toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: true })
    expect(error.message).toContain(join(root, 'file', 'state', 'test'))
  })

  test('say why a checkpoint cannot be stored', async () => {
    const root = folder()
    await withStore(root, async (store) => {
      // Where the new file would be written there is a folder.
      mkdirSync(join(root, 'test', `${nameOf(1)}.part`))
      const error = await rejection(store.store(checkpoint(1)))
      expect(error).toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: true })
      expect(error.message).toContain('cannot store checkpoint 1')
    })
  })

  test('stop with a storage error when a file cannot be read, rather than take an older one', async () => {
    const root = folder()
    await withStore(root, async (store) => {
      await store.store(checkpoint(1))
      mkdirSync(join(root, 'test', nameOf(2)))
      expect(await rejection(store.load())).toMatchObject({ code: 'SLUICE_STATE_STORAGE' })
    })
  })

  test('refuse bad options, all at once', () => {
    expect(() => fileCheckpoints('', { keep: 0 })).toThrow(/2 invalid option[\s\S]*folder[\s\S]*keep/)
    expect(() => fileCheckpoints('x', { kepp: 1 } as never)).toThrow(/did you mean 'keep'/)
  })
})

describe('damage', () => {
  let root = ''
  let path = ''
  let whole: Buffer
  let store: CheckpointStore
  const { lines, logger } = recorder()

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'sluice-core-'))
    store = await fileCheckpoints(root).open('test', logger)
    await store.store(checkpoint(1))
    await store.store(checkpoint(2))
    path = join(root, 'test', nameOf(2))
    whole = readFileSync(path)
  })

  afterAll(async () => {
    await store[Symbol.asyncDispose]()
    rmSync(root, { recursive: true, force: true })
  })

  test('the newest torn at any byte: the one before is used, with a warning', async () => {
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      lines.length = 0
      expect(await store.load(), `torn after ${length} bytes`).toEqual(checkpoint(1))
      expect(lines).toMatchObject([{ level: 'warn', fields: { used: nameOf(1) } }])
    }
  })

  test('a flipped bit at any byte, in the header too: never used', () => {
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = Buffer.from(whole)
        bytes[at] = (bytes[at] as number) ^ (1 << bit)
        expect(decodeCheckpoint(bytes, path), `bit ${bit} of byte ${at}`).toHaveProperty('damage')
      }
    }
  })

  test('bytes after the end, or zeros in place of the file: never used', () => {
    expect(decodeCheckpoint(Buffer.concat([whole, Buffer.from('x')]), path)).toHaveProperty('damage')
    expect(decodeCheckpoint(Buffer.alloc(whole.length), path)).toHaveProperty('damage')
    expect(decodeCheckpoint(Buffer.alloc(0), path)).toHaveProperty('damage')
  })

  test('none whole: a refusal that names the files and says what to do', async () => {
    const first = join(root, 'test', nameOf(1))
    const kept = readFileSync(first)
    writeFileSync(path, whole.subarray(0, 100))
    writeFileSync(first, '')
    const error = await rejection(store.load())
    writeFileSync(first, kept)
    expect(error).toMatchObject({ code: 'SLUICE_STATE_CORRUPTED', restartable: false })
    expect(error.message).toMatch(
      /checkpoint-00000001-000000000002\.json.*checkpoint-00000001-000000000001\.json.*sluice checkpoints reset/,
    )
  })

  test('a whole file of a newer format is refused, never passed over', async () => {
    const text = whole.toString('utf8')
    const { createHash } = await import('node:crypto')
    const end = text.indexOf(',"sha256"')
    const signed = text.slice(0, end).replace('"format":2', '"format":3')
    const body = text.slice(text.indexOf('\n') + 1)
    const sha256 = createHash('sha256').update(signed).update(body).digest('hex')
    writeFileSync(path, `${signed},"sha256":"${sha256}"}\n${body}`)
    const error = await rejection(store.load())
    expect(error).toMatchObject({
      code: 'SLUICE_STATE_NEWER',
      restartable: false,
      message: expect.stringContaining(`the checkpoint ${path} has format 3`) as string,
      facts: { place: path, format: 3, readable: 2 },
    })
  })
})

describe('the format', () => {
  test('is two lines of JSON: a header for people and tools, and the states', () => {
    const [header, body, rest] = encodeCheckpoint(checkpoint(7), 5).toString('utf8').split('\n')
    expect(JSON.parse(header ?? '')).toEqual({
      format: 2,
      package: '@sluice/core',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as unknown,
      job: 'test',
      uids: ['kinesis'],
      token: 5,
      id: 7,
      createdAtMs: 1_700_000_000_007,
      bodyBytes: Buffer.byteLength(`${body}\n`),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
    })
    expect(JSON.parse(body ?? '')).toEqual({ sources: checkpoint(7).sources })
    expect(rest).toBe('')
  })

  test('a job name with a line end or a quote does not break it', () => {
    const odd = { ...checkpoint(1), job: 'a"\n,"sha256":"' }
    expect(decodeCheckpoint(encodeCheckpoint(odd, 5), 'odd')).toMatchObject({ checkpoint: odd, token: 5 })
  })
})

describe('memory checkpoints', () => {
  test('outlive the store and keep jobs apart', async () => {
    const storage = memoryCheckpoints()
    const store = await storage.open('test', silentLogger)
    expect(await store.load()).toBeUndefined()
    expect(await store.store(checkpoint(1))).toBe(encodeCheckpoint(checkpoint(1)).length)
    await store[Symbol.asyncDispose]()
    expect(await (await storage.open('test', silentLogger)).load()).toEqual(checkpoint(1))
    expect(await (await storage.open('other', silentLogger)).load()).toBeUndefined()
  })

  test('do not share objects with whoever stored or loaded them', async () => {
    const store = await memoryCheckpoints().open('test', silentLogger)
    const splits = [{ splitId: 'a', next: 1 }]
    await store.store({ ...checkpoint(1), sources: { s: { stateVersion: 1, enumerator: null, splits } } })
    splits[0]!.next = 99
    const loaded = await store.load()
    expect(loaded?.sources['s']?.splits).toEqual([{ splitId: 'a', next: 1 }])
    expect(await store.load()).not.toBe(loaded)
  })
})
