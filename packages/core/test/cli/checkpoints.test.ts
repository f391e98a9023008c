import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { encodeCheckpoint } from '../../src/checkpoint/format.ts'
import { checkpointName } from '../../src/checkpoint/names.ts'
import type { Checkpoint } from '../../src/checkpoint/storage.ts'
import { fileCheckpoints, silentLogger } from '../../src/index.ts'
import { folder } from '../job/harness.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const TIME_MS = Date.UTC(2026, 0, 2, 3, 4, 5)

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function run(...args: readonly string[]): Promise<Ended> {
  return runNode([], ...args)
}

/** @param options - of Node.js itself. */
async function runNode(options: readonly string[], ...args: readonly string[]): Promise<Ended> {
  const flags = ['--disable-warning=ExperimentalWarning', ...options]
  const child = spawn(process.execPath, [...flags, CLI, 'checkpoints', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}

function checkpoint(id: number, job = 'hosts'): Checkpoint {
  const splits = [
    { splitId: 'shard-0', next: id * 10 },
    { splitId: 'shard-\u001b[31m1', next: id },
  ]
  return {
    id,
    job,
    createdAtMs: TIME_MS + id,
    sources: { kinesis: { stateVersion: 3, enumerator: { seen: 7 }, splits } },
  }
}

/** A folder in which a job has stored three checkpoints and ended. */
async function stored(root = folder(), job = 'hosts'): Promise<string> {
  const store = await fileCheckpoints(root).open(job, silentLogger)
  for (const id of [1, 2, 3]) await store.store(checkpoint(id, job))
  await store.storeHint?.({ checkpointId: 3, emitted: { 'shard-0': 5 } })
  await store[Symbol.asyncDispose]()
  return root
}

/** Rights do not stop a test that runs as root: folders with this name are refused as by the system. */
function unreadable(name: string): string {
  const module = `
    import fs from 'node:fs/promises'
    import { syncBuiltinESMExports } from 'node:module'
    const { readdir } = fs
    fs.readdir = async (path, ...rest) => {
      if (!path.endsWith('/${name}')) return readdir(path, ...rest)
      throw Object.assign(new Error("EACCES: permission denied, scandir '" + path + "'"), { code: 'EACCES' })
    }
    syncBuiltinESMExports()`
  return `--import=data:text/javascript,${encodeURIComponent(module)}`
}

/** As a later version of the package would write it. */
function ofNewerFormat(id: number): Buffer {
  const body = '{"sources":{}}\n'
  const header = { format: 99, package: '@sluice/core', job: 'hosts', token: 1, id, createdAtMs: TIME_MS }
  const signed = JSON.stringify({ ...header, bodyBytes: body.length }).slice(0, -1)
  const sha256 = createHash('sha256').update(signed).update(body).digest('hex')
  return Buffer.from(`${signed},"sha256":"${sha256}"}\n${body}`)
}

const names = (root: string, job = 'hosts'): string[] => readdirSync(join(root, job)).toSorted()

describe('sluice checkpoints', () => {
  test.each(['list', 'show', 'reset'])('%s --help says how, and does nothing', async (command) => {
    const ended = await run(command, '--help')
    expect(ended).toMatchObject({ code: 0, err: '' })
    expect(ended.out).toContain(`Usage: sluice checkpoints ${command} <folder>`)
  })

  test('every problem of a command line is told at once, and nothing is done', async () => {
    const ended = await run('reset', 'a', 'b', '--to', 'x', '--fast', '--yes=1', '--job')
    expect(ended).toMatchObject({ code: 2, out: '' })
    expect(ended.err.split('\n')).toEqual([
      'sluice checkpoints reset: there is no option --fast; there are: --job, --to, --yes',
      '--yes takes no value, got "1"',
      '--job needs a value',
      'one folder is expected, got also: b',
      '--to must be a positive whole number, got "x"',
      'See: sluice checkpoints reset --help',
      '',
    ])
  })

  test.each([
    [['show', '.'], '--job is needed'],
    [['list'], 'a folder of checkpoints is needed'],
    [['show', '.', '--job', '../x'], '--job must be the name of a job, got "../x"'],
    [['show', '.', '--job', 'a', '--job', 'b'], '--job is given twice'],
  ])('%j is refused with code 2', async (args, says) => {
    expect(await run(...args)).toMatchObject({ code: 2, err: expect.stringContaining(says) as unknown })
  })

  test('a folder that is not there, is empty or is that of one job is an error with its name', async () => {
    const root = await stored()
    expect((await run('list', '/does/not/exist')).err).toContain('cannot be read from /does/not/exist: ENOENT')
    expect((await run('list', folder())).err).toContain('there are no checkpoints in')
    const ended = await run('list', join(root, 'hosts'))
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('it is that of one job, give the folder above it')
    const other = await run('show', root, '--job', 'other')
    expect(other.err).toContain(`there is no job 'other' in ${root}; there are: hosts`)
  })

  test('a folder beside those of jobs that cannot be read is passed over, and said', async () => {
    const root = await stored()
    mkdirSync(join(root, 'lost+found'))
    const options = [unreadable('lost+found')]
    const all = await runNode(options, 'list', root)
    expect(all.code).toBe(1)
    expect(all.out.split('\n').filter((line) => line.startsWith('hosts'))).toHaveLength(3)
    const passedOver = `passed over: checkpoints cannot be read from ${join(root, 'lost+found')}: EACCES`
    expect(all.err).toContain(passedOver)
    for (const command of [
      ['list', root, '--job', 'hosts'],
      ['show', root, '--job', 'hosts'],
      ['reset', root, '--job', 'hosts'],
    ]) {
      const ended = await runNode(options, ...command)
      expect(ended.err).not.toContain('lost+found')
      expect(ended.code).toBe(0)
    }
    const missing = await runNode(options, 'show', root, '--job', 'other')
    expect(missing.code).toBe(1)
    expect(missing.err).toContain(passedOver)
    expect(missing.err).toContain('there are: hosts')
  })

  test('the folder of the job that was asked for is an error when it cannot be read, whatever lies above it', async () => {
    const root = await stored()
    const ended = await runNode([unreadable('hosts')], 'show', root, '--job', 'hosts')
    expect(ended).toMatchObject({ code: 1, out: '' })
    expect(ended.err).toContain(`checkpoints cannot be read from ${join(root, 'hosts')}: EACCES`)
    const above = root.slice(root.lastIndexOf('/') + 1)
    expect((await runNode([unreadable(above)], 'show', root, '--job', 'hosts')).code).toBe(0)
  })
})

describe('sluice checkpoints list', () => {
  test('shows jobs, ids, times, sizes, damage, formats and owners, and changes nothing', async () => {
    const root = await stored()
    await stored(root, 'alerts')
    mkdirSync(join(root, 'unrelated'))
    mkdirSync(join(root, 'old'))
    const fixture = fileURLToPath(new URL('../fixtures/checkpoints/format-1/memory.checkpoint', import.meta.url))
    copyFileSync(fixture, join(root, 'old', 'checkpoint-000000000002.json'))
    truncateSync(join(root, 'hosts', checkpointName(1, 3)), 100)
    const before = names(root)
    await using _running = await fileCheckpoints(root).open('alerts', silentLogger)
    const ended = await run('list', root)
    expect(ended.code).toBe(1)
    const lines = ended.out.split('\n').map((line) => line.split(/ {2,}/))
    const { length } = readFileSync(join(root, 'hosts', checkpointName(1, 2)))
    expect(lines[0]).toEqual(['JOB', 'ID', 'OWNER', 'TIME', 'BYTES', 'FORMAT', 'STATE'])
    expect(lines.map(([job, id, , , , format]) => [job, id, format])).toEqual([
      ['JOB', 'ID', 'FORMAT'],
      ...['3', '2', '1'].map((id) => ['alerts', id, '2']),
      ['hosts', '3', '-'],
      ...['2', '1'].map((id) => ['hosts', id, '2']),
      ['old', '2', '1'],
      ['', undefined, undefined],
    ])
    expect(lines[4]).toEqual(['hosts', '3', '1', '-', '100', '-', 'damaged: no header line in 100 bytes'])
    expect(lines[5]).toEqual(['hosts', '2', '1', '2026-01-02T03:04:05.002Z', String(length), '2', 'whole'])
    expect(ended.err).toContain('alerts: owner 2 is running\n')
    expect(ended.err).toContain('hosts: owner 1 is not running on this machine\n')
    expect(names(root)).toEqual(before)
    expect((await run('list', root, '--job', 'alerts')).code).toBe(0)
  })
})

describe('sluice checkpoints show', () => {
  test('prints splits, positions and the state of the enumerator, and steers no terminal', async () => {
    const ended = await run('show', await stored(), '--job', 'hosts')
    expect(ended).toMatchObject({ code: 0, err: '' })
    const [head, ...rest] = ended.out.split('\n')
    expect(head).toMatch(
      /^checkpoint 3 of job hosts, owner 1, 2026-01-02T03:04:05\.003Z, \d+ bytes, format 2, written by @sluice\/core \d/,
    )
    expect(rest).toEqual([
      'source kinesis, state version 3, 2 splits',
      '  shard-0  {"next":30}',
      '  shard-\\u001b[31m1  {"next":3}',
      '  enumerator {"seen":7}',
      '',
    ])
  })

  test('prints the one that was asked for as JSON', async () => {
    const ended = await run('show', await stored(), '--job', 'hosts', '--id', '2', '--json')
    expect(ended.code).toBe(0)
    const { job, id, createdAtMs, sources } = checkpoint(2)
    expect(JSON.parse(ended.out)).toMatchObject({
      job,
      id,
      createdAtMs,
      sources,
      token: 1,
      format: 2,
      file: checkpointName(1, 2),
    })
  })

  test('passes over damage and says so; a damaged or missing one that was asked for is an error', async () => {
    const root = await stored()
    truncateSync(join(root, 'hosts', checkpointName(1, 3)), 100)
    const newest = await run('show', root, '--job', 'hosts')
    expect(newest.code).toBe(1)
    expect(newest.out).toContain('checkpoint 2 of job hosts')
    expect(newest.err).toContain(`passed over: ${checkpointName(1, 3)}: no header line`)
    expect(await run('show', root, '--job', 'hosts', '--id', '3')).toMatchObject({
      code: 1,
      err: expect.stringContaining('is damaged: no header line') as unknown,
    })
    expect((await run('show', root, '--job', 'hosts', '--id', '9')).err).toContain(
      'no checkpoint 9; there are: 3, 2, 1',
    )
  })

  test('says that the job does not start where a newer format comes first, as the job does', async () => {
    const root = await stored()
    writeFileSync(join(root, 'hosts', checkpointName(1, 5)), ofNewerFormat(5))
    writeFileSync(join(root, 'hosts', checkpointName(1, 6)), 'torn')
    const store = await fileCheckpoints(root).open('hosts', silentLogger)
    await expect(store.load()).rejects.toMatchObject({ code: 'SLUICE_STATE_NEWER' })
    await store[Symbol.asyncDispose]()
    const ended = await run('show', root, '--job', 'hosts')
    expect(ended).toMatchObject({ code: 1, out: '' })
    expect(ended.err).toContain(`the job does not start: ${checkpointName(1, 5)} is refused: the checkpoint`)
    expect(ended.err).toContain('has format 99')
    const list = await run('list', root)
    expect(list.code).toBe(1)
    const states = list.out.split('\n').map((line) => line.split(/ {2,}/)[6]?.split(':')[0])
    expect(states.slice(1, -1)).toEqual(['damaged', 'refused', 'whole', 'whole', 'whole'])
    // What lies before it can be looked at, and gone back to.
    expect((await run('show', root, '--job', 'hosts', '--id', '3')).code).toBe(0)
    expect((await run('show', root, '--job', 'hosts', '--id', '5')).err).toContain('is refused: the checkpoint')
    expect((await run('reset', root, '--job', 'hosts', '--to', '5', '--yes')).code).toBe(1)
    expect((await run('reset', root, '--job', 'hosts', '--to', '3', '--yes')).code).toBe(0)
    await using again = await fileCheckpoints(root).open('hosts', silentLogger)
    expect(await again.load()).toEqual(checkpoint(3))
  })

  test('passes over one of a newer format behind the one that the job goes on from', async () => {
    const root = await stored()
    writeFileSync(join(root, 'hosts', checkpointName(1, 2)), ofNewerFormat(2))
    expect(await run('show', root, '--job', 'hosts')).toMatchObject({ code: 0, err: '' })
  })
})

describe('sluice checkpoints reset', () => {
  test('without --yes only says what would be moved', async () => {
    const root = await stored()
    const before = names(root)
    const ended = await run('reset', root, '--job', 'hosts')
    expect(ended.code).toBe(0)
    expect(ended.out.split('\n')).toEqual([...[3, 2, 1].map((id) => checkpointName(1, id)), 'emitted.json', ''])
    expect(ended.err).toContain('4 files would be moved aside; hosts would start at the initial position')
    expect(ended.err).toContain('--yes does it')
    expect(names(root)).toEqual(before)
  })

  test('moves all aside: the job starts anew, and putting them back undoes it', async () => {
    const root = await stored()
    expect((await run('reset', root, '--job', 'hosts', '--yes')).code).toBe(0)
    const [owner, aside = '', ...rest] = names(root)
    expect([owner, rest]).toEqual(['owner-2', []])
    expect(aside).toMatch(/^reset-\d{8}T\d{9}Z$/)
    const moved = readdirSync(join(root, 'hosts', aside)).toSorted()
    expect(moved).toEqual([...[1, 2, 3].map((id) => checkpointName(1, id)), 'emitted.json'])
    const fresh = await fileCheckpoints(root).open('hosts', silentLogger)
    expect(await fresh.load()).toBeUndefined()
    await fresh[Symbol.asyncDispose]()
    for (const name of moved) copyFileSync(join(root, 'hosts', aside, name), join(root, 'hosts', name))
    await using again = await fileCheckpoints(root).open('hosts', silentLogger)
    expect(await again.load()).toEqual(checkpoint(3))
  })

  test('goes back to the checkpoint that was asked for', async () => {
    const root = await stored()
    writeFileSync(join(root, 'hosts', `${checkpointName(1, 4)}.part`), 'half')
    const ended = await run('reset', root, '--job', 'hosts', '--to', '2', '--yes')
    expect(ended).toMatchObject({ code: 0, out: `${checkpointName(1, 3)}\n${checkpointName(1, 4)}.part\n` })
    expect(ended.err).toContain('hosts will go on from checkpoint 2 of 2026-01-02T03:04:05.002Z')
    await using store = await fileCheckpoints(root).open('hosts', silentLogger)
    expect(await store.load()).toEqual(checkpoint(2))
    expect((await run('reset', root, '--job', 'hosts', '--to', '7')).err).toContain('there is no checkpoint 7')
  })

  test('never goes back to a damaged one', async () => {
    const root = await stored()
    writeFileSync(join(root, 'hosts', checkpointName(1, 2)), encodeCheckpoint(checkpoint(9), 1))
    const before = names(root)
    const ended = await run('reset', root, '--job', 'hosts', '--to', '2', '--yes')
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('is damaged: its name is not that of checkpoint 9 of owner 1')
    expect(names(root).filter((name) => !name.startsWith('owner'))).toEqual(
      before.filter((name) => !name.startsWith('owner')),
    )
  })

  test.each([['--yes'], []])('refuses while the owner lives %j', async (...flags) => {
    const root = await stored()
    await using store = await fileCheckpoints(root).open('hosts', silentLogger)
    const ended = await run('reset', root, '--job', 'hosts', ...flags)
    expect(ended.code).toBe(1)
    expect(ended.err).toContain('hosts is running: stop it first')
    expect(existsSync(join(root, 'hosts', checkpointName(1, 3)))).toBe(true)
    expect(await store.load()).toEqual(checkpoint(3))
  })
})
