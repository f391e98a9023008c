import { describe, expect, test } from 'vitest'
import { inspect } from 'node:util'
import { exponentialDelayRestart, type SluiceError, stream } from '../../src/index.ts'
import { ALL_WRITTEN, failure, InMemorySink, InMemorySource, options, recorder, VirtualClock } from './harness.ts'

const CONTENT = 'card 4111-1111'

interface Case {
  readonly stage: string
  readonly sink?: string
  readonly says: string
  readonly build: (source: InMemorySource<string>) => {
    readonly sink: InMemorySink<string>
    readonly map?: (text: string) => string
  }
}

/** Each puts two good records before the poisoned one, so that position and split are not the trivial ones. */
const CASES: readonly Case[] = [
  {
    stage: 'decode',
    says: 'a record was refused at decode (source memory, split b, position 2): decodeThrew: SyntaxError',
    build: (source) => {
      source.pushUndecodable('b', CONTENT)
      return { sink: new InMemorySink<string>() }
    },
  },
  {
    stage: 'operator',
    says: 'a record was refused at operator (source memory, split b, position 2): operatorThrew: SyntaxError in map #1',
    build: (source) => {
      source.push('b', CONTENT)
      return {
        sink: new InMemorySink<string>(),
        map: (text) => (text === CONTENT ? (JSON.parse(text) as string) : text),
      }
    },
  },
  {
    stage: 'convert',
    sink: 'store',
    says: 'a record was refused by sink store at convert (source memory, split b, position 2): convertThrew: SyntaxError',
    build: (source) => {
      source.push('b', CONTENT)
      const convert = (text: string): string[] => [text === CONTENT ? (JSON.parse(text) as string) : text]
      return { sink: new InMemorySink<string>({ uid: 'store', convert }) }
    },
  },
  {
    stage: 'store',
    sink: 'store',
    says: 'a record was refused by sink store at store (source memory, split b, position 2): outOfRange: the timestamp is too old',
    build: (source) => {
      source.push('b', CONTENT)
      const reason = { code: 'outOfRange', message: 'the timestamp is too old', requestId: 'r-1' }
      return {
        sink: new InMemorySink<string>({
          uid: 'store',
          onSubmit: ({ entries }) => ({
            entries: entries.map((entry) => (entry === CONTENT ? { kind: 'refuse', reason } : { kind: 'written' })),
          }),
        }),
      }
    },
  },
]

describe.each(CASES)('poison at $stage', ({ stage, sink: sinkUid, says, build }) => {
  async function run(): Promise<{
    error: SluiceError
    source: InMemorySource<string>
    sink: InMemorySink<string>
    log: string
  }> {
    const clock = new VirtualClock()
    const source = new InMemorySource<string>({ splits: ['a', 'b'] })
    source.push('b', 'good', 'good')
    const { sink, map = (text: string) => text } = build(source)
    source.end()
    const { lines, logger } = recorder()
    const job = stream(source)
      .map(map)
      .sinkTo(sink)
      .start(options(clock, { logger, restart: exponentialDelayRestart(), restartGraceMs: 10 }))
    const error = await failure(clock, job.done)
    const log = JSON.stringify(
      lines.map(({ fields, message }) => [message, (fields['error'] as Error | undefined)?.message, fields]),
    )
    return { error, source, sink, log }
  }

  test('fails the job, whatever the restart strategy, and names stage, source, split and position', async () => {
    const { error } = await run()
    expect(error).toMatchObject({ code: 'SLUICE_RECORD_REFUSED', restartable: false, message: says })
    expect(error.facts).toMatchObject({ stage, source: 'memory', split: 'b', position: '2' })
    expect(error.facts['sink']).toBe(sinkUid)
  })

  test('puts no content into message, facts or log; what was thrown is the cause', async () => {
    const { error, log } = await run()
    for (const text of [error.message, inspect(error.facts), log]) expect(text).not.toContain('4111')
    expect(error.cause instanceof SyntaxError).toBe(stage !== 'store')
  })

  test('acknowledges nothing beyond the start', async () => {
    const { source } = await run()
    expect(source.acknowledged).toEqual([1])
  })
})

test('a record whose raw form cannot be looked up is refused all the same', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  const createReader = source.createReader.bind(source)
  source.createReader = (context) => {
    const reader = createReader(context)
    const poll = reader.poll.bind(reader)
    return Object.assign(reader, {
      poll: () => {
        const batch = poll()
        return batch === undefined
          ? undefined
          : Object.assign(batch, {
              raw: () => {
                throw new Error('freed')
              },
            })
      },
    })
  }
  source.push('0', 1)
  const sink = new InMemorySink<number>({ onSubmit: () => ({ isolate: { code: 'bad', message: 'no' } }) })
  const job = stream(source)
    .sinkTo(sink)
    .start(options(clock, { restart: exponentialDelayRestart() }))
  expect(await failure(clock, job.done)).toMatchObject({
    code: 'SLUICE_RECORD_REFUSED',
    message: 'a record was refused by sink memory at store (unknown origin): bad: no',
  })
})

test('good records of the same batch are stored before and after the poisoned one is found', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  source.push('0', 1, 2, 3)
  const sink = new InMemorySink<number>({
    onSubmit: ({ entries }) => (entries.includes(2) ? { isolate: { code: 'bad', message: 'no' } } : ALL_WRITTEN),
  })
  const job = stream(source).sinkTo(sink).start(options(clock))
  await failure(clock, job.done)
  expect(sink.stored).not.toContain(2)
})
