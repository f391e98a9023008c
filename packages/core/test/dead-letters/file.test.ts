import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test, type TestContext } from 'vitest'
import {
  type DeadLetter,
  type DeadLetters,
  encodeDeadLetter,
  fileDeadLetters,
  type FileDeadLettersOptions,
  parseDeadLetter,
  readDeadLetters,
  systemClock,
  stream,
  type UnreadableLine,
} from '../../src/index.ts'
import { folder, InMemorySink, InMemorySource, range } from '../job/harness.ts'
import { letter } from './harness.ts'

const context = (): { readonly signal: AbortSignal; readonly attempt: number } => ({
  signal: new AbortController().signal,
  attempt: 1,
})

async function read(path: string, unreadable?: UnreadableLine[]): Promise<DeadLetter[]> {
  const options = unreadable === undefined ? {} : { onUnreadable: (line: UnreadableLine) => void unreadable.push(line) }
  const letters: DeadLetter[] = []
  for await (const each of readDeadLetters(path, options)) letters.push(each)
  return letters
}

/** Dead letters whose files are closed when the test has ended. */
function made(path: string, options?: FileDeadLettersOptions): DeadLetters {
  const deadLetters = fileDeadLetters(path, options)
  onTestFinished(() => deadLetters.close?.())
  return deadLetters
}

const ids = (letters: readonly DeadLetter[]): string[] => letters.map(({ id }) => id)
const numbered = (count: number, prefix = 'id'): DeadLetter[] =>
  range(count).map((index) => letter({ id: `${prefix}-${String(index).padStart(5, '0')}` }))

describe('dead letters in files', () => {
  test('are there, whole and in order, when their delivery is confirmed', async () => {
    const path = join(folder(), 'not', 'yet')
    const deadLetters = made(path)
    await deadLetters.open?.()
    const letters = [
      letter({ id: 'a', value: { text: 'line\nbreak \u2028 separator', lone: '\ud800' } }),
      letter({ id: 'b', raw: null, sink: null, stage: 'operator' }),
      letter({ id: 'c', raw: Buffer.alloc(300_000, 7).toString('base64') }),
    ]
    for (const each of letters) await deadLetters.deliver(each, context())
    expect(await read(path)).toEqual(letters)
    await deadLetters.close?.()
    expect(readdirSync(path)).toHaveLength(1)
    expect(readdirSync(path)[0]).toMatch(/^\d{8}T\d{9}Z\.hosts\.\d+-[0-9a-f]{8}\.ndjson$/)
  })

  test('can be read by their owner only', async () => {
    const path = join(folder(), 'made')
    const deadLetters = made(path)
    await deadLetters.open?.()
    await deadLetters.deliver(letter(), context())
    expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(statSync(join(path, readdirSync(path)[0] ?? '')).mode & 0o777).toBe(0o600)
  })

  test('that come together share few syncs, and each is there', async () => {
    const path = folder()
    const deadLetters = made(path)
    const letters = numbered(2000)
    await Promise.all(letters.map((each) => deadLetters.deliver(each, context())))
    await deadLetters.close?.()
    expect(ids(await read(path))).toEqual(ids(letters))
  })

  test('begin a new file at its size, in names that sort by time', async () => {
    const path = folder()
    const size = encodeDeadLetter(letter({ id: 'id-00000' })).length + 1
    const deadLetters = made(path, { maxFileBytes: size * 3 })
    const letters = numbered(20)
    await Promise.all(letters.slice(0, 10).map((each) => deadLetters.deliver(each, context())))
    for (const each of letters.slice(10)) await deadLetters.deliver(each, context())
    await deadLetters.deliver(letter({ id: 'large', raw: Buffer.alloc(size * 4).toString('base64') }), context())
    expect(ids(await read(path))).toEqual([...ids(letters), 'large'])
    const names = readdirSync(path).sort()
    expect(names).toHaveLength(8)
    for (const name of names.slice(0, -1)) expect(statSync(join(path, name)).size).toBeLessThanOrEqual(size * 3)
  })

  test('keep so many files of a job when told to, and never touch those of another', async () => {
    const path = folder()
    const mine = made(path, { maxFileBytes: 1, keep: 2 })
    await mine.deliver(letter({ id: 'other', job: 'hosts.2' }), context())
    writeFileSync(join(path, 'notes.txt'), 'mine')
    for (const each of numbered(5)) await mine.deliver(each, context())
    expect(ids(await read(path)).sort()).toEqual(['id-00003', 'id-00004', 'other'])
    expect(existsSync(join(path, 'notes.txt'))).toBe(true)
  })

  test('of two writers in one folder do not touch each other', async () => {
    const path = folder()
    const [one, two] = [made(path), made(path)]
    await Promise.all([
      ...numbered(200, 'one').map((each) => one.deliver(each, context())),
      ...numbered(200, 'two').map((each) => two.deliver(each, context())),
    ])
    expect(ids(await read(path)).sort()).toEqual([...ids(numbered(200, 'one')), ...ids(numbered(200, 'two'))])
    expect(readdirSync(path)).toHaveLength(2)
  })

  test('go on after close, for another job that shares them', async () => {
    const path = folder()
    const deadLetters = made(path)
    await deadLetters.deliver(letter({ id: 'a' }), context())
    await deadLetters.close?.()
    await deadLetters.deliver(letter({ id: 'b' }), context())
    await deadLetters.close?.()
    expect(ids(await read(path))).toEqual(['a', 'b'])
    expect(readdirSync(path)).toHaveLength(2)
  })

  test('never leave the folder, whatever the job of a letter is called', async () => {
    const path = join(folder(), 'inner')
    const deadLetters = made(path)
    await deadLetters.open?.()
    for (const job of ['../../up', '', 'a/b', '..', 'x'.repeat(300)])
      await deadLetters.deliver(letter({ job }), context())
    expect(readdirSync(join(path, '..'))).toEqual(['inner'])
    expect((await read(path)).map(({ job }) => job).sort()).toEqual(['', '..', '../../up', 'a/b', 'x'.repeat(300)])
  })

  test('that nobody waits for any more are not written', async () => {
    const path = folder()
    const deadLetters = made(path)
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(deadLetters.deliver(letter({ id: 'gone' }), { signal: gone, attempt: 1 })).rejects.toThrow('gone')
    await deadLetters.deliver(letter({ id: 'here' }), context())
    expect(ids(await read(path))).toEqual(['here'])
  })

  test('come back when their folder was deleted', async () => {
    const path = join(folder(), 'gone')
    const deadLetters = made(path, { maxFileBytes: 1 })
    await deadLetters.open?.()
    await deadLetters.deliver(letter({ id: 'a' }), context())
    rmSync(path, { recursive: true })
    await expect(deadLetters.deliver(letter({ id: 'b' }), context())).rejects.toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
    })
    await deadLetters.deliver(letter({ id: 'b' }), context())
    expect(ids(await read(path))).toEqual(['b'])
  })

  test.each([
    ['', {}, 'folder must be a non-empty string'],
    ['x', { maxFileBytes: 0 }, 'maxFileBytes must be an integer from 1 up, got 0'],
    ['x', { keep: 0 }, 'keep must be an integer'],
    ['x', { maxFileByte: 1 }, "did you mean 'maxFileBytes'"],
  ])('refuse folder %j with options %j', (path, options, says) => {
    expect(() => fileDeadLetters(path, options as FileDeadLettersOptions)).toThrow(says)
  })
})

describe('a folder that cannot take letters', () => {
  const cases: readonly (readonly [string, () => string, RegExp])[] = [
    [
      'is a file',
      () => {
        const path = join(folder(), 'file')
        writeFileSync(path, '')
        return path
      },
      /EEXIST|ENOTDIR/,
    ],
    [
      'lies below a file',
      () => {
        const path = join(folder(), 'file')
        writeFileSync(path, '')
        return join(path, 'deeper')
      },
      /ENOTDIR/,
    ],
    ['may not be written', () => '/proc/self', /ENOENT|EACCES|EROFS|EPERM/],
  ]
  test.each(cases)(
    'because it %s is told when the job starts, with its name and the reason',
    async (_what, make, why) => {
      const path = make()
      const source = new InMemorySource<number>()
      source.push('0', 1)
      const job = stream(source)
        .sinkTo(new InMemorySink<number>())
        .start({ name: 'test', deadLetters: fileDeadLetters(path) })
      const error: unknown = await job.done.catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'SLUICE_DEAD_LETTERS_FAILED', facts: { folder: path } })
      expect((error as Error).message).toContain(`dead letters cannot be written to ${path}: `)
      expect((error as Error).message).toMatch(why)
      expect(source.fetched).toBe(0)
      await expect(fileDeadLetters(path).deliver(letter(), context())).rejects.toMatchObject({
        code: 'SLUICE_DEAD_LETTERS_FAILED',
      })
    },
  )

  test('because the disk is full rejects, settles nothing, and takes letters whole again once there is room', async (tested) => {
    const path = tinyDisk(64, tested)
    const deadLetters = made(path)
    const filler = join(path, 'filler')
    await deadLetters.deliver(letter({ id: 'before' }), context())
    writeFileSync(filler, Buffer.alloc(40_000))
    const large = letter({ id: 'large', raw: Buffer.alloc(30_000).toString('base64') })
    await expect(deadLetters.deliver(large, context())).rejects.toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: expect.stringMatching(new RegExp(`${path}.*ENOSPC`)),
    })
    expect(ids(await read(path))).toEqual(['before'])
    rmSync(filler)
    await deadLetters.deliver(large, context())
    await deadLetters.deliver(letter({ id: 'after' }), context())
    const unreadable: UnreadableLine[] = []
    expect(ids(await read(path, unreadable))).toEqual(['before', 'large', 'after'])
    expect(unreadable).toEqual([])
  })

  test('because the disk is full fails the job beyond its budget, and nothing is acknowledged', async (tested) => {
    const path = tinyDisk(32, tested)
    const source = new InMemorySource<string>()
    source.push('0', 'good')
    source.pushUndecodable('0', 'x'.repeat(60_000))
    source.end()
    const job = stream(source)
      .sinkTo(new InMemorySink<string>({ maxTimeInBufferMS: 1 }))
      .start({
        name: 'test',
        deadLetters: fileDeadLetters(path),
        deadLetterRetry: { maxAttempts: 3, initialDelayMs: 1 },
        restart: { name: 'none', onFailure: () => undefined },
        clock: systemClock,
      })
    await expect(job.done).rejects.toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: expect.stringMatching(/3 tries .* ENOSPC/),
    })
    expect(source.acknowledged).toEqual([1])
    expect(await read(path)).toEqual([])
    expect(readdirSync(path)).toEqual([])
  })
})

/** A file system of a few KiB; skips the test where it may not be made. */
function tinyDisk(kib: number, tested: TestContext): string {
  const path = folder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    return tested.skip('tmpfs may not be mounted here')
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]))
  return path
}

describe('a process that is killed while it writes', () => {
  const child = fileURLToPath(new URL('deliver-child.ts', import.meta.url))

  test('loses no confirmed letter, and the next does not write behind what it left torn', async () => {
    const path = folder()
    const confirmed: string[] = []
    for (let run = 0; run < 3; run++) {
      const writer = spawn(process.execPath, [child, path, `run${run}`], { stdio: ['ignore', 'pipe', 'inherit'] })
      let text = ''
      writer.stdout.setEncoding('utf8')
      for await (const chunk of writer.stdout as AsyncIterable<string>) {
        text += chunk
        if (text.split('\n').length > 20) break
      }
      writer.kill('SIGKILL')
      if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit')
      confirmed.push(...text.split('\n').slice(0, -1))
    }
    expect(confirmed.length).toBeGreaterThanOrEqual(60)
    const unreadable: UnreadableLine[] = []
    const found = new Set(ids(await read(path, unreadable)))
    expect(confirmed.filter((id) => !found.has(id))).toEqual([])
    expect(unreadable.filter(({ torn }) => !torn)).toEqual([])
    expect(readdirSync(path)).toHaveLength(3)
  })
})

function filled(...lines: readonly string[]): string {
  const path = folder()
  writeFileSync(join(path, '20260101T000000000Z.hosts.1-00000000.ndjson'), lines.join('\n'))
  return path
}
const line = (id: string): string => encodeDeadLetter(letter({ id }))

describe('reading', () => {
  test('passes over a torn last line, and says so', async () => {
    const path = filled(line('a'), line('b'), line('c').slice(0, 40))
    expect(ids(await read(path))).toEqual(['a', 'b'])
    const unreadable: UnreadableLine[] = []
    expect(ids(await read(path, unreadable))).toEqual(['a', 'b'])
    expect(unreadable).toMatchObject([{ line: 3, torn: true }])
  })

  test('gives a last letter that lacks nothing but its line break', async () => {
    expect(ids(await read(filled(line('a'), line('b'))))).toEqual(['a', 'b'])
  })

  test('names file and line of garbage, never what it holds, and goes on when told to', async () => {
    const path = filled(line('a'), '{"card": 4111-1111}', '', line('b'), '')
    const error: unknown = await read(path).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'SLUICE_DEAD_LETTER_INVALID', facts: { line: 2 } })
    expect((error as Error).message).toMatch(/ndjson:2: not a dead letter: it is not JSON$/)
    expect(JSON.stringify([error, String((error as Error).cause)])).not.toContain('4111')
    const unreadable: UnreadableLine[] = []
    expect(ids(await read(path, unreadable))).toEqual(['a', 'b'])
    expect(unreadable).toMatchObject([{ line: 2, torn: false }])
  })

  test('takes one file, and goes through several by time', async () => {
    const path = filled(line('second'), '')
    writeFileSync(join(path, '20250101T000000000Z.zebra.1-00000000.ndjson'), `${line('first')}\n`)
    appendFileSync(join(path, 'other.ndjson'), 'not ours\n')
    mkdirSync(join(path, 'sub'))
    expect(ids(await read(path))).toEqual(['first', 'second'])
    expect(ids(await read(join(path, '20250101T000000000Z.zebra.1-00000000.ndjson')))).toEqual(['first'])
  })

  test('says which folder is missing', async () => {
    const path = join(folder(), 'missing')
    await expect(read(path)).rejects.toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: expect.stringContaining(`dead letters cannot be read from ${path}: ENOENT`),
    })
  })
})

describe('a letter', () => {
  test('is the same after it was written and read', () => {
    const whole = letter({ value: { a: 1 }, entry: [1], requestId: 'r-1' })
    expect(parseDeadLetter(encodeDeadLetter(whole))).toEqual(whole)
  })

  test('of a newer version says to update', () => {
    expect(() => parseDeadLetter(JSON.stringify({ v: 2 }))).toThrow(
      'the dead letter has format version 2 and this version of @sluice/core reads up to 1: update @sluice/core',
    )
  })

  test.each([
    ['', 'it is not JSON'],
    ['[]', 'it is not a JSON object'],
    ['null', 'it is not a JSON object'],
    ['{}', 'v must be 1'],
    [{ v: '1' }, 'v must be 1'],
    [{ id: '' }, 'id must be a non-empty string'],
    [{ id: undefined }, 'id must be'],
    [{ sink: undefined }, 'sink must be a string or null'],
    [{ stage: 'later' }, 'stage must be one of decode, operator, convert, store'],
    [{ reason: { code: 1, message: '' } }, 'reason.code must be a string'],
    [{ reason: 'x' }, 'reason.code must be a string'],
    [{ origin: undefined }, 'origin.source must be a string'],
    [{ origin: { source: 's', split: 'p', position: 1 } }, 'origin.position must be a string or null'],
    [{ origin: { source: 's', split: 'p', position: null, headers: { a: 1 } } }, 'origin.headers must be an object'],
    [{ raw: 'not base64!' }, 'raw must be base64 or null'],
    [{ attempts: '1' }, 'attempts must be a number'],
    [{ firstFailedAt: 'yesterday' }, 'firstFailedAt must be an ISO 8601 time'],
  ])('%j is refused', (given, says) => {
    const text = typeof given === 'string' ? given : JSON.stringify({ ...letter(), ...given })
    expect(() => parseDeadLetter(text)).toThrow(says)
  })
})
