import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type DeadLetter, encodeDeadLetter } from '../../src/index.ts'
import { folder, range } from '../job/harness.ts'
import { letter } from '../dead-letters/harness.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Begun {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

function begin(...args: readonly string[]): Begun {
  return beginWith('pipe', ...args)
}

function beginWith(output: 'pipe' | number, ...args: readonly string[]): Begun {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, ...args], {
    stdio: ['ignore', output, 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (err += chunk))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out, err }))
  return { child, ended }
}

const run = (...args: readonly string[]): Promise<Ended> => begin(...args).ended

/** A folder with these letters in one file. */
function letters(given: readonly DeadLetter[], end = '\n'): string {
  const path = folder()
  const lines = given.map(encodeDeadLetter).join('\n')
  writeFileSync(join(path, '20260101T000000000Z.hosts.1-00000000.ndjson'), `${lines}${end}`)
  return path
}

/** A module that appends what it is given to a file, one line a record, `call` before each call. */
function module(body = ''): { readonly path: string; readonly records: () => string[]; readonly calls: () => number } {
  const at = folder()
  const [path, log] = [join(at, 'to.mjs'), join(at, 'log')]
  writeFileSync(log, '')
  writeFileSync(
    path,
    `import { appendFileSync } from 'node:fs'
     let calls = 0
     export default async function (records) {
       calls++
       ${body}
       appendFileSync(${JSON.stringify(log)}, 'call\\n' + records.map(({ bytes, key, letter }) =>
         letter.id + ' ' + key + ' ' + bytes.toString('utf8') + '\\n').join(''))
     }
     export async function close() { appendFileSync(${JSON.stringify(log)}, 'closed\\n') }`,
  )
  const lines = (): string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1)
  return {
    path,
    records: () => lines().filter((line) => line !== 'call' && line !== 'closed'),
    calls: () => lines().filter((line) => line === 'call').length,
  }
}

const numbered = (count: number, from = 0): DeadLetter[] =>
  range(count, from).map((index) => letter({ id: `id-${index}`, raw: Buffer.from(`raw ${index}`).toString('base64') }))
const sent = (count: number, from = 0): string[] => range(count, from).map((index) => `id-${index} host-1 raw ${index}`)

describe('sluice', () => {
  test.each([
    [['--help'], 0],
    [[], 2],
    [['dlq'], 2],
    [['dql', 'show'], 2],
  ])('%j lists the commands, exit code %i', async (args, code) => {
    const ended = await run(...args)
    expect(ended.code).toBe(code)
    expect(ended.out + ended.err).toContain('Usage: sluice <command> [options]')
    expect(ended.out + ended.err).toContain('dlq replay')
  })

  test('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(await run('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' })
    expect((await run('--help')).out).toContain('sluice --version')
    expect((await run('--version', 'x')).code).toBe(2)
  })

  test.each(['show', 'replay'])('dlq %s --help says how, and does nothing', async (command) => {
    const ended = await run('dlq', command, '--help')
    expect(ended).toMatchObject({ code: 0, err: '' })
    expect(ended.out).toMatch(new RegExp(`^Usage: sluice dlq ${command} <folder or file>`))
    for (const option of ['--stage', '--limit']) expect(ended.out).toContain(option)
  })

  test.each([
    [['show'], 'a folder of dead letters is needed'],
    [['show', 'a', 'b'], 'one folder is expected, got also: b'],
    [['show', '.', '--limit', 'many'], '--limit must be a positive whole number, got "many"'],
    [['show', '.', '--stage', 'later'], '--stage must be one of decode, operator, convert, store'],
    [['show', '.', '--colour'], "Unknown option '--colour'"],
    [['replay', '.'], '--to is needed'],
    [['replay', '.', '--to', './missing.mjs'], '--to ./missing.mjs cannot be loaded'],
  ])('dlq %j is refused with code 2 and a reason', async (args, says) => {
    const ended = await run('dlq', ...args)
    expect(ended).toMatchObject({ code: 2, out: '' })
    expect(ended.err).toContain(says)
    expect(ended.err).toMatch(/See: sluice dlq (show|replay) --help/)
  })
})

describe('sluice dlq show', () => {
  test('says what was refused, why, where and what it was', async () => {
    const path = letters([letter({ attempts: 3, requestId: 'r-1', entry: { cpu: 5 } })])
    const ended = await run('dlq', 'show', path)
    expect(ended.code).toBe(0)
    for (const part of [
      '2026-01-01T00:00:00.000Z  at store of sink timestream: RejectedRecord: the timestamp is too old',
      'job      hosts, 3 tries, request r-1',
      'origin   source kinesis, split shard-0, position 42',
      'key      host-1',
      'raw      (17 bytes) {"host":"host-1"}',
      'entry    {"cpu":5}',
    ]) {
      expect(ended.out).toContain(part)
    }
    expect(ended.err).toBe('1 dead letters\n')
  })

  test('lets no record steer the terminal', async () => {
    const evil = '\u001b]0;owned\u0007\u009b31m\u202e'
    const path = letters([
      letter({
        raw: Buffer.from(evil).toString('base64'),
        reason: { code: evil, message: evil },
        origin: { source: evil, split: evil, position: evil, key: evil, headers: { [evil]: evil } },
      }),
    ])
    for (const args of [[], ['--json'], ['--summary'], ['--full']]) {
      const { out, err } = await run('dlq', 'show', path, ...args)
      // oxlint-disable-next-line no-control-regex -- they are what must not be there
      expect(out + err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
    }
  })

  test('prints whole letters as JSON lines, those that are asked for', async () => {
    const given = [
      letter({ id: 'a1', stage: 'decode', sink: null }),
      letter({ id: 'a2', sink: 'other' }),
      letter({ id: 'b1', reason: { code: 'Late', message: '' }, job: 'second' }),
      letter({ id: 'b2', origin: { source: 'kafka', split: '0', position: '1' } }),
    ]
    const path = letters(given)
    const shown = async (...args: string[]): Promise<string[]> =>
      (await run('dlq', 'show', path, '--json', ...args)).out
        .split('\n')
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as DeadLetter).id)
    expect(JSON.parse((await run('dlq', 'show', path, '--json', '--id', 'a2')).out)).toEqual(given[1])
    expect(await shown()).toEqual(['a1', 'a2', 'b1', 'b2'])
    expect(await shown('--stage', 'decode')).toEqual(['a1'])
    expect(await shown('--sink', 'other')).toEqual(['a2'])
    expect(await shown('--reason', 'Late')).toEqual(['b1'])
    expect(await shown('--job', 'second')).toEqual(['b1'])
    expect(await shown('--source', 'kafka')).toEqual(['b2'])
    expect(await shown('--id', 'a')).toEqual(['a1', 'a2'])
    expect(await shown('--limit', '3')).toEqual(['a1', 'a2', 'b1'])
  })

  test('counts by reason, and shows a repeat once', async () => {
    const path = letters([...numbered(3), ...numbered(2), letter({ id: 'x', stage: 'decode', sink: null })])
    const ended = await run('dlq', 'show', path, '--summary')
    expect(ended.out.split('\n').map((line) => line.split(/ {2,}/).join(' | '))).toEqual([
      'letters | job | stage | sink | reason | newest',
      '3 | hosts | store | timestream | RejectedRecord | 2026-01-01T00:00:00.000Z',
      '1 | hosts | decode | - | RejectedRecord | 2026-01-01T00:00:00.000Z',
      '',
    ])
    expect(ended.err).toBe('4 dead letters, 2 repeats of them not shown\n')
  })

  test('tells torn and unreadable lines apart, and ends with 1 only for the latter', async () => {
    const torn = await run('dlq', 'show', letters(numbered(2), '\n{"v":1,"id'), '--json')
    expect(torn.code).toBe(0)
    expect(torn.err).toContain(':3 is not complete: it was never confirmed')
    const path = letters(numbered(2), '\ngarbage 4111\n')
    const garbage = await run('dlq', 'show', path, '--json')
    expect(garbage.code).toBe(1)
    expect(garbage.out.split('\n')).toHaveLength(3)
    expect(garbage.err).toContain('.ndjson:3: not a dead letter: it is not JSON')
    expect(garbage.err).not.toContain('4111')
  })

  test('fails with the name of a folder that is not there, and with nothing to show does not', async () => {
    expect(await run('dlq', 'show', '/does/not/exist')).toMatchObject({
      code: 1,
      err: expect.stringContaining('dead letters cannot be read from /does/not/exist: ENOENT'),
    })
    expect(await run('dlq', 'show', folder())).toMatchObject({ code: 0, out: '', err: '0 dead letters\n' })
  })

  test('ends well when its reader has enough', async () => {
    const path = letters(numbered(5000))
    const { child, ended } = begin('dlq', 'show', path)
    child.stdout?.once('data', () => child.stdout?.destroy())
    expect(await ended).toMatchObject({ code: 0, err: '' })
  })

  test.skipIf(!existsSync('/dev/full'))('says in one line that its output cannot be written', async () => {
    const full = openSync('/dev/full', 'w')
    onTestFinished(() => closeSync(full))
    const { ended } = beginWith(full, 'dlq', 'show', letters(numbered(2)))
    const { code, err } = await ended
    expect(code).toBe(1)
    expect(err).toMatch(/^sluice: the output cannot be written: ENOSPC[^\n]*\n$/)
  })

  test('takes no empty folder for the current one', async () => {
    expect(await run('dlq', 'show', '')).toMatchObject({ code: 2, out: '' })
  })
})

describe('sluice dlq replay', () => {
  test('goes on although nobody reads what the module prints', async () => {
    const to = module(`console.log('x'.repeat(100_000)); await new Promise((resolve) => setTimeout(resolve, 50))`)
    const { child, ended } = begin('dlq', 'replay', letters(numbered(6)), '--to', to.path, '--batch', '2')
    child.stdout?.once('data', () => child.stdout?.destroy())
    expect(await ended).toMatchObject({ code: 0, err: expect.stringContaining('6 records sent') })
    expect(to.records()).toEqual(sent(6))
  })

  test.each([
    ['to.cjs', 'module.exports = async (records) => console.log(records.length)'],
    ['to.js', `exports.__esModule = true; exports.default = async (records) => console.log(records.length)`],
  ])('takes CommonJS: %s', async (name, body) => {
    const path = join(folder(), name)
    writeFileSync(path, body)
    expect(await run('dlq', 'replay', letters(numbered(3)), '--to', path)).toMatchObject({ code: 0, out: '3\n' })
  })

  test('fails when there is no folder, with its name', async () => {
    const err = expect.stringContaining('dead letters cannot be read from /does/not/exist: ENOENT')
    expect(await run('dlq', 'replay', '/does/not/exist', '--to', module().path)).toMatchObject({ code: 1, err })
  })

  test('says that a call whose progress cannot be noted is sent again', async () => {
    const path = letters(numbered(2))
    const to = module(`(await import('node:fs')).unlinkSync(${JSON.stringify(join(path, 'owner-1'))})`)
    const ended = await run('dlq', 'replay', path, '--to', to.path)
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('the last call was sent and is sent again, since it could not be noted: ')
    expect(ended.err).toContain('0 records sent')
  })

  test('gives the records in order, in calls of the size asked for, and closes the module', async () => {
    const to = module()
    const path = letters(numbered(25))
    const ended = await run('dlq', 'replay', path, '--to', to.path, '--batch', '10')
    expect(ended.code).toBe(0)
    expect(ended.err).toContain('25 records sent')
    expect(to.records()).toEqual(sent(25))
    expect(to.calls()).toBe(3)
    expect(readFileSync(join(path, 'replayed.ids'), 'utf8').trim().split('\n')).toHaveLength(25)
    expect(readdirSync(path).filter((name) => name.startsWith('owner'))).toEqual([])
  })

  test('sends nothing twice: neither repeats, nor what an earlier run sent, unless told to', async () => {
    const to = module()
    const path = letters([...numbered(3), ...numbered(3)])
    await run('dlq', 'replay', path, '--to', to.path, '--limit', '2')
    expect(to.records()).toEqual(sent(2))
    await run('dlq', 'replay', path, '--to', to.path, '--limit', '2')
    expect(to.records()).toEqual(sent(3))
    expect(await run('dlq', 'replay', path, '--to', to.path)).toMatchObject({ code: 0 })
    expect(to.records()).toEqual(sent(3))
    await run('dlq', 'replay', path, '--to', to.path, '--again')
    expect(to.records()).toEqual([...sent(3), ...sent(3)])
  })

  test('goes on where a failed call ended it', async () => {
    const to = module(`if (records[0].letter.id === 'id-4' && process.env.FAIL !== 'no') throw new Error('busy')`)
    const path = letters(numbered(6))
    const failed = await run('dlq', 'replay', path, '--to', to.path, '--batch', '2')
    expect(failed.code).toBe(1)
    expect(failed.err).toContain('stopped: busy. The same command goes on from here')
    expect(failed.err).toContain('4 records sent')
    expect(to.records()).toEqual(sent(4))
    const whole = module()
    expect(await run('dlq', 'replay', path, '--to', whole.path)).toMatchObject({ code: 0 })
    expect(whole.records()).toEqual(sent(2, 4))
  })

  test('gives up a call that does not answer', async () => {
    const to = module('await new Promise((resolve) => setTimeout(resolve, 1e9))')
    const ended = await run('dlq', 'replay', letters(numbered(1)), '--to', to.path, '--timeout', '50')
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('no answer within 50 ms (--timeout)')
  })

  test('stops after the call under way on SIGINT, and remembers it', async () => {
    const at = folder()
    const to = module(
      `(await import('node:fs')).appendFileSync(${JSON.stringify(join(at, 'begun'))}, 'x'); await new Promise((resolve) => setTimeout(resolve, 200))`,
    )
    const path = letters(numbered(50))
    const { child, ended } = begin('dlq', 'replay', path, '--to', to.path, '--batch', '5')
    await expect.poll(() => readdirSync(at), { timeout: 10_000 }).toEqual(['begun'])
    child.kill('SIGINT')
    expect((await ended).code).toBe(130)
    const first = to.records()
    expect(first.length).toBeLessThan(50)
    expect(first.length % 5).toBe(0)
    expect(first.length).toBeGreaterThan(0)
    const rest = module()
    await run('dlq', 'replay', path, '--to', rest.path)
    expect([...first, ...rest.records()]).toEqual(sent(50))
  })

  test('after a kill repeats at most the call under way', async () => {
    const at = folder()
    const to = module(
      `if (calls === 3) { (await import('node:fs')).appendFileSync(${JSON.stringify(join(at, 'begun'))}, 'x'); await new Promise(() => setInterval(() => {}, 1000)) }`,
    )
    const path = letters(numbered(20))
    const { child, ended } = begin('dlq', 'replay', path, '--to', to.path, '--batch', '5')
    await expect.poll(() => readdirSync(at), { timeout: 10_000 }).toEqual(['begun'])
    child.kill('SIGKILL')
    await ended
    // As a kill in the middle of a write leaves it.
    appendFileSync(join(path, 'replayed.ids'), 'id-1')
    const rest = module()
    expect(await run('dlq', 'replay', path, '--to', rest.path)).toMatchObject({ code: 0 })
    expect(rest.records()).toEqual(sent(10, 10))
  })

  test('runs once at a time on a folder', async () => {
    const at = folder()
    const to = module(
      `(await import('node:fs')).appendFileSync(${JSON.stringify(join(at, 'begun'))}, 'x'); await new Promise(() => setInterval(() => {}, 1000))`,
    )
    const path = letters(numbered(3))
    const { child, ended } = begin('dlq', 'replay', path, '--to', to.path)
    await expect.poll(() => readdirSync(at), { timeout: 10_000 }).toEqual(['begun'])
    const second = await run('dlq', 'replay', path, '--to', module().path)
    expect(second.code).toBe(1)
    expect(second.err).toContain(`another replay is running on ${path}`)
    child.kill('SIGKILL')
    await ended
  })

  test('only says what it would do, when told so', async () => {
    const to = module()
    const path = letters([...numbered(2), letter({ id: 'none', raw: null })])
    const ended = await run('dlq', 'replay', path, '--to', to.path, '--dry-run')
    expect(ended.out.split('\n')[0]).toBe('id-0  store timestream RejectedRecord  kinesis shard-0 42  5 bytes')
    expect(ended.err).toContain('2 records would be sent')
    expect(ended.err).toContain('1 letters have no raw bytes and are not sent')
    expect(ended.code).toBe(1)
    expect(to.calls()).toBe(0)
    expect(readdirSync(path)).toHaveLength(1)
  })

  test('passes over letters without raw bytes, says which, and does not call them replayed', async () => {
    const to = module()
    const path = letters([letter({ id: 'none', raw: null }), ...numbered(1)])
    const ended = await run('dlq', 'replay', path, '--to', to.path)
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('letter none has no raw bytes')
    expect(to.records()).toEqual(sent(1))
    expect(readFileSync(join(path, 'replayed.ids'), 'utf8')).not.toContain('none')
  })

  test.each([
    ['export const x = 1', 'must have a function as its default export'],
    ['export default 5', 'must have a function as its default export'],
    ['export default () => {}; export const close = 5', 'close of'],
    ['throw new Error("wrong")', 'cannot be loaded: wrong'],
  ])('refuses a module that says %j', async (text, says) => {
    const path = join(folder(), 'to.mjs')
    writeFileSync(path, text)
    expect(await run('dlq', 'replay', letters(numbered(1)), '--to', path)).toMatchObject({
      code: 2,
      err: expect.stringContaining(says),
    })
  })

  test('keeps its progress where it is told to, and fails when it cannot', async () => {
    const to = module()
    const [path, elsewhere] = [letters(numbered(2)), folder()]
    await run('dlq', 'replay', path, '--to', to.path, '--progress', join(elsewhere, 'done'))
    expect(readdirSync(elsewhere)).toEqual(['done'])
    expect(readdirSync(path)).toHaveLength(1)
    mkdirSync(join(elsewhere, 'taken'))
    const ended = await run('dlq', 'replay', path, '--to', to.path, '--progress', join(elsewhere, 'taken'))
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('the progress of the replay cannot be kept in')
    expect(to.records()).toEqual(sent(2))
  })
})
