import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type DeadLetter,
  type DeadLetterRecord,
  deadLetterSource,
  encodeDeadLetter,
  fileCheckpoints,
  type JobEnd,
  type JobOptions,
  memoryCheckpoints,
  noRestart,
  SluiceError,
  stream,
} from '../../src/index.ts'
import { folder, InMemorySink, range } from '../job/harness.ts'
import { Letters, letter } from './harness.ts'

const file = (path: string, index: number): string => join(path, `2026010${index}T000000000Z.hosts.1-00000000.ndjson`)
const line = (id: string, given: Partial<DeadLetter> = {}): string =>
  `${encodeDeadLetter(letter({ id, raw: Buffer.from(`raw ${id}`).toString('base64'), ...given }))}\n`
const lines = (count: number, prefix: string): string =>
  range(count)
    .map((index) => line(`${prefix}${index}`))
    .join('')

interface Replayed {
  readonly end: JobEnd | SluiceError
  readonly texts: string[]
}

/** Replays a folder through a job until it ends. */
async function replay(path: string, given: Partial<JobOptions> = {}, stopAfter = Infinity): Promise<Replayed> {
  const texts: string[] = []
  const sink = new InMemorySink<string>({
    maxTimeInBufferMS: 1,
    onSubmit: ({ entries }) => {
      texts.push(...entries)
      if (texts.length >= stopAfter) return { fail: new SluiceError('SLUICE_SINK_FAILED', 'enough') }
      return { allWritten: true }
    },
  })
  const job = stream(deadLetterSource(path))
    .map(({ bytes, key }: DeadLetterRecord) => `${key}: ${bytes.toString('utf8')}`)
    .sinkTo(sink)
    .start({ name: 'replay', restart: noRestart(), checkpoints: { storage: memoryCheckpoints() }, ...given })
  const end = await job.done.catch((error: unknown) => error as SluiceError)
  return { end, texts }
}

const texts = (count: number, prefix: string): string[] => range(count).map((index) => `host-1: raw ${prefix}${index}`)

describe('the source of dead letters', () => {
  test('gives the raw records, file by file, and ends', async () => {
    const path = folder()
    writeFileSync(file(path, 2), lines(3, 'b'))
    writeFileSync(file(path, 1), lines(1200, 'a'))
    const { end, texts: seen } = await replay(path)
    expect(end).toMatchObject({ how: 'finished', unsettled: 0 })
    expect(seen).toEqual([...texts(1200, 'a'), ...texts(3, 'b')])
  })

  test('reads at a later start only what was added, torn lines when they are whole', async () => {
    const path = folder()
    const storage = fileCheckpoints(join(folder(), 'state'))
    const torn = line('a3')
    writeFileSync(file(path, 1), lines(3, 'a') + torn.slice(0, 50))
    expect((await replay(path, { checkpoints: { storage } })).texts).toEqual(texts(3, 'a'))
    expect((await replay(path, { checkpoints: { storage } })).texts).toEqual([])
    appendFileSync(file(path, 1), torn.slice(50))
    writeFileSync(file(path, 2), lines(2, 'b'))
    expect((await replay(path, { checkpoints: { storage } })).texts).toEqual(['host-1: raw a3', ...texts(2, 'b')])
  })

  test('goes on after a failure without losing one', async () => {
    const path = folder()
    const storage = memoryCheckpoints()
    for (const index of [1, 2, 3]) writeFileSync(file(path, index), lines(400, String(index)))
    const first = await replay(path, { checkpoints: { storage, intervalMs: 5 } }, 600)
    expect(first.end).toMatchObject({ code: 'SLUICE_SINK_FAILED' })
    const second = await replay(path, { checkpoints: { storage } })
    expect(second.end).toMatchObject({ how: 'finished' })
    const all = [...texts(400, '1'), ...texts(400, '2'), ...texts(400, '3')]
    expect([...new Set([...first.texts, ...second.texts])].sort()).toEqual(all.toSorted())
  })

  test('refuses what is no letter or has no raw bytes, with its line as raw bytes', async () => {
    const path = folder()
    writeFileSync(file(path, 1), `${line('a0')}garbage\n\n${line('none', { raw: null })}${line('a1')}`)
    const deadLetters = new Letters()
    const { end, texts: seen } = await replay(path, { deadLetters })
    expect(end).toMatchObject({ how: 'finished' })
    expect(seen).toEqual(texts(2, 'a'))
    expect(deadLetters.stored).toMatchObject([
      { stage: 'decode', origin: { source: 'dead-letters', position: String(line('a0').length) } },
      { stage: 'decode' },
    ])
    expect(Buffer.from(deadLetters.stored[0]?.raw ?? '', 'base64').toString()).toBe('garbage')
  })

  test('ends at once on a folder without letters, and fails on one that is not there', async () => {
    const path = folder()
    mkdirSync(join(path, 'sub'))
    expect((await replay(path)).end).toMatchObject({ how: 'finished' })
    expect((await replay(join(path, 'missing'))).end).toMatchObject({ code: 'SLUICE_DEAD_LETTERS_FAILED' })
  })

  test('fails when a file is shorter than its checkpoint says', async () => {
    const path = folder()
    const storage = memoryCheckpoints()
    writeFileSync(file(path, 1), lines(400, 'a'))
    await replay(path, { checkpoints: { storage, intervalMs: 1 } }, 100)
    truncateSync(file(path, 1), 10)
    expect((await replay(path, { checkpoints: { storage } })).end).toMatchObject({ code: 'SLUICE_POSITION_LOST' })
  })
})
