import { AsyncLocalStorage } from 'node:async_hooks'
import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, test } from 'vitest'
import {
  ALL_WRITTEN,
  type Checkpoint,
  fromIterable,
  type JobOptions,
  memoryCheckpoints,
  type SinkSubmitMessage,
  SluiceError,
  stream,
  type SubmitOutcome,
  toFunction,
  TRACING_CHANNELS,
} from '../../src/index.ts'
import { traceDeadLetter, traceFetch, traceSubmit } from '../../src/runtime/tracing.ts'

type Event = readonly [event: string, message: Readonly<Record<string, unknown>>]

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

const undo: (() => void)[] = []

afterEach(() => {
  for (const take of undo.splice(0)) take()
})

/** Notes every event of a channel, with its message as it was then. */
function record(name: string): readonly Event[] {
  const events: Event[] = []
  for (const event of EVENTS) {
    listen(`tracing:${name}:${event}`, (message) => events.push([event, { ...(message as object) }]))
  }
  return events
}

function listen(name: string, listener: (message: unknown) => void): void {
  subscribe(name, listener)
  undo.push(() => unsubscribe(name, listener))
}

const names = (events: readonly Event[]): readonly string[] => events.map(([name]) => name)

const submit = (): SinkSubmitMessage => ({
  sink: 'hosts',
  destination: 'db/table',
  entries: 3,
  bytes: 300,
  attempt: 1,
  trigger: 'size',
})

describe('a traced request', () => {
  test('tells its events in order, and facts of its result', async () => {
    const events = record(TRACING_CHANNELS.sinkSubmit)
    expect(await traceSubmit(submit(), () => Promise.resolve(ALL_WRITTEN))).toBe(ALL_WRITTEN)
    const result = { outcome: 'allWritten' }
    expect(events).toEqual([
      ['start', submit()],
      ['end', submit()],
      ['asyncStart', { ...submit(), result }],
      ['asyncEnd', { ...submit(), result }],
    ])
  })

  test('tells what was thrown, and throws it', async () => {
    const events = record(TRACING_CHANNELS.sinkSubmit)
    const error = new Error('refused')
    await expect(traceSubmit(submit(), () => Promise.reject(error))).rejects.toBe(error)
    expect(names(events)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    expect(events.at(-1)?.[1]).toEqual({ ...submit(), error })
  })

  test.each<[string, unknown, unknown]>([
    [
      'one outcome for each entry',
      {
        entries: [
          { kind: 'written' },
          { kind: 'refuse', reason: { code: 'x', message: 'secret' } },
          { kind: 'written' },
        ],
      },
      { outcome: 'entries', counts: { written: 2, refuse: 1 } },
    ],
    [
      'all again',
      { retryAll: { code: 'Throttling', message: 'secret', requestId: 'r1' } },
      { outcome: 'retryAll', code: 'Throttling', requestId: 'r1', unknown: false },
    ],
    [
      'without an answer',
      { retryAll: { code: 'timeout', message: '' }, unknown: true },
      { outcome: 'retryAll', code: 'timeout', unknown: true },
    ],
    ['isolate', { isolate: { code: 'Validation', message: 'secret' } }, { outcome: 'isolate', code: 'Validation' }],
    ['too large', { tooLarge: { code: '413', message: '' } }, { outcome: 'tooLarge', code: '413' }],
    [
      'fail',
      { fail: { code: 'SLUICE_ACCESS_DENIED', message: 'secret' } },
      { outcome: 'fail', code: 'SLUICE_ACCESS_DENIED' },
    ],
    ['nothing', undefined, { outcome: 'malformed' }],
    ['a list that is none', { entries: 5 }, { outcome: 'malformed' }],
    ['not written', { allWritten: false }, { outcome: 'malformed' }],
    ['no reason', { isolate: null }, { outcome: 'isolate' }],
    ['no known field', {}, { outcome: 'malformed' }],
    ['holes', { entries: [undefined, null, { kind: 'written' }] }, { outcome: 'entries', counts: { written: 1 } }],
  ])('says of its outcome no more than facts: %s', async (_, outcome, result) => {
    const events = record(TRACING_CHANNELS.sinkSubmit)
    expect(await traceSubmit(submit(), () => Promise.resolve(outcome as SubmitOutcome))).toBe(outcome)
    expect(events.at(-1)?.[1]['result']).toEqual(result)
  })

  test('is the very call without subscribers', () => {
    const promise = Promise.resolve(ALL_WRITTEN)
    const message = Object.freeze(submit())
    expect(traceSubmit(message, () => promise)).toBe(promise)
    let described = 0
    expect(
      traceFetch(
        { source: 's', split: '0' },
        () => promise,
        () => ({ records: ++described, bytes: 0, lastOfSplit: false }),
      ),
    ).toBe(promise)
    expect(described).toBe(0)
  })

  test('runs in the context that a subscriber binds, as spans need it', async () => {
    const storage = new AsyncLocalStorage<string>()
    const start = channel(`tracing:${TRACING_CHANNELS.sinkSubmit}:start`)
    start.bindStore(storage, (message) => `span of ${(message as SinkSubmitMessage).sink}`)
    undo.push(() => start.unbindStore(storage))
    record(TRACING_CHANNELS.sinkSubmit)
    let seen: string | undefined
    await traceSubmit(submit(), async () => {
      await Promise.resolve()
      seen = storage.getStore()
      return ALL_WRITTEN
    })
    expect(seen).toBe('span of hosts')
    expect(storage.getStore()).toBeUndefined()
  })

  test('is not disturbed by a subscriber that throws: Node.js raises that as an uncaught exception of its own', async () => {
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const raised: unknown[] = []
    process.on('uncaughtException', (error) => raised.push(error))
    try {
      for (const event of EVENTS) {
        listen(`tracing:${TRACING_CHANNELS.sinkSubmit}:${event}`, () => {
          throw new Error(`subscriber of ${event}`)
        })
      }
      expect(await traceSubmit(submit(), () => Promise.resolve(ALL_WRITTEN))).toBe(ALL_WRITTEN)
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const listener of others) process.on('uncaughtException', listener)
    }
    expect(raised.map(String)).toEqual(
      ['start', 'end', 'asyncStart', 'asyncEnd'].map((event) => `Error: subscriber of ${event}`),
    )
  })
})

test('a dead letter ends with its confirmation or with an error', async () => {
  const events = record(TRACING_CHANNELS.deadLetterDeliver)
  const message = {
    id: 'x',
    sink: 'hosts',
    stage: 'store',
    code: 'RejectedRecord',
    source: 's',
    split: '0',
    position: '7',
  }
  await traceDeadLetter({ ...message }, () => Promise.resolve())
  expect(names(events)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
  await expect(traceDeadLetter({ ...message }, () => Promise.reject(new Error('disk full')))).rejects.toThrow(
    'disk full',
  )
  expect(names(events).slice(4)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  expect(events.at(-1)?.[1]).toMatchObject(message)
})

async function run(source: ReturnType<typeof fromIterable>, options: Partial<JobOptions> = {}): Promise<void> {
  const sink = toFunction(() => Promise.resolve())
  await stream(source)
    .sinkTo(sink)
    .start({ name: 'orders', ...options }).done
}

describe('a job', () => {
  test('tells of its fetches, without the records', async () => {
    const events = record(TRACING_CHANNELS.sourceFetch)
    await run(fromIterable(['secret 1', 'secret 2'], { uid: 'rows' }))
    expect(names(events)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    // Values of an iterable have no bytes of their own: each counts as one.
    const result = { records: 2, bytes: 2, lastOfSplit: true }
    expect(events.at(-1)?.[1]).toEqual({ source: 'rows', split: '0', result })
    expect(JSON.stringify(events)).not.toContain('secret')
  })

  test('tells of a fetch that failed', async () => {
    const events = record(TRACING_CHANNELS.sourceFetch)
    const error = new SluiceError('SLUICE_SOURCE_FAILED', 'no more')
    const source = fromIterable(function* () {
      yield 1
      throw error
    })
    await expect(run(source)).rejects.toBe(error)
    expect(names(events)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    expect(events.at(-1)?.[1]).toEqual({ source: source.uid, split: '0', error })
  })

  test('tells of its checkpoints, from the barrier until they are stored', async () => {
    const storage = memoryCheckpoints()
    const stored: Checkpoint[] = []
    const noting: typeof storage = {
      ...storage,
      open: async (name, logger) => {
        const store = await storage.open(name, logger)
        return {
          load: () => store.load(),
          store: (checkpoint) => {
            stored.push(checkpoint)
            return store.store(checkpoint)
          },
          [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
        }
      },
    }
    const storedAt: number[] = []
    listen(`tracing:${TRACING_CHANNELS.checkpoint}:start`, () => storedAt.push(stored.length))
    const events = record(TRACING_CHANNELS.checkpoint)
    await run(fromIterable([1, 2, 3]), { checkpoints: { storage: noting } })
    const last = stored.at(-1)
    expect(names(events).slice(-4)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    expect(storedAt.at(-1)).toBe(stored.length - 1)
    expect(events.at(-1)?.[1]).toMatchObject({
      id: last?.id,
      trigger: 'final',
      covers: 3,
      result: { outcome: 'stored', bytes: expect.any(Number) },
    })
  })

  test('goes on when nobody listens any more', async () => {
    const events = record(TRACING_CHANNELS.checkpoint)
    for (const take of undo.splice(0)) take()
    expect(tracingChannel(TRACING_CHANNELS.checkpoint).hasSubscribers).toBe(false)
    await run(fromIterable([1]))
    expect(events).toEqual([])
  })
})
