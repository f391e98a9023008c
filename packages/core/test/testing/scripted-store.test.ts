import { describe, expect, test } from 'vitest'

import { ScriptedStore, type StoreCommand } from '../../src/testing/scripted-store.ts'

describe('ScriptedStore', () => {
  test('stores what it is given, and keeps a journal', async () => {
    let now = 5
    const store = new ScriptedStore<string>({ now: () => now })
    expect(await store.receive(['a', 'b'], 'table')).toEqual({ kind: 'stored' })
    now = 9
    store.next('unavailable')
    expect(await store.receive(['c'])).toEqual({ kind: 'unavailable' })
    expect(store.held).toEqual(['a', 'b'])
    expect(store.requests).toMatchObject([
      { number: 0, arrivedAt: 5, answeredAt: 5, entries: ['a', 'b'], destination: 'table', applied: ['a', 'b'] },
      { number: 1, arrivedAt: 9, answeredAt: 9, entries: ['c'], destination: '', command: 'unavailable', applied: [] },
    ])
  })

  test.each([
    ['throttled', { kind: 'throttled' }, 0],
    [{ throttledForMs: 700 }, { kind: 'throttled', afterMs: 700 }, 0],
    ['cutBeforeApply', { kind: 'cut' }, 0],
    ['cutAfterApply', { kind: 'cut' }, 2],
    ['refused', { kind: 'refused' }, 0],
    ['conflict', { kind: 'conflict' }, 0],
    ['tooLarge', { kind: 'tooLarge' }, 0],
    ['denied', { kind: 'denied' }, 0],
    ['meaningless', { kind: 'meaningless' }, 0],
    ['threw', { kind: 'threw' }, 0],
    ['short', { kind: 'short', outcomes: ['stored'] }, 0],
    [
      { entries: (entry: string) => (entry === 'a' ? 'busy' : 'stored') },
      { kind: 'entries', outcomes: ['busy', 'stored'] },
      1,
    ],
  ] as const)('%o', async (command: StoreCommand<string>, answer, held) => {
    const store = new ScriptedStore<string>()
    store.next(command)
    expect(await store.receive(['a', 'b'])).toEqual(answer)
    expect(store.held).toHaveLength(held)
  })

  test('keeps silent, with and without having applied the request', () => {
    const store = new ScriptedStore<string>()
    store.next('silentBeforeApply', 'silentAfterApply')
    void store.receive(['a'])
    void store.receive(['b'])
    expect(store.held).toEqual(['b'])
    expect(store.open.map(({ number }) => number)).toEqual([0, 1])
  })

  test('throws at once', () => {
    const store = new ScriptedStore<string>()
    store.next('throwsAtOnce')
    expect(() => store.receive(['a'])).toThrow(TypeError)
    expect(store.held).toEqual([])
  })

  test('holds requests until they are answered, in any order', async () => {
    const store = new ScriptedStore<string>({ now: () => 0 })
    store.otherwise = 'hold'
    const answers = [store.receive(['a']), store.receive(['b']), store.receive(['c'])]
    const [, second] = store.open
    if (second === undefined) throw new Error('nothing is open')
    store.answer(second, 'unavailable')
    store.answerAll()
    expect(await Promise.all(answers)).toEqual([{ kind: 'stored' }, { kind: 'unavailable' }, { kind: 'stored' }])
    expect(store.held).toEqual(['a', 'c'])
    expect(() => store.answer(second)).toThrow('request 1 has its answer: unavailable')
  })

  test('what was applied in silence is not applied again by a late answer', async () => {
    const store = new ScriptedStore<string>()
    store.next('silentAfterApply')
    const answer = store.receive(['a'])
    store.answerAll()
    expect(await answer).toEqual({ kind: 'stored' })
    expect(store.held).toEqual(['a'])
  })

  test('a command comes before decide, decide before otherwise', async () => {
    const store = new ScriptedStore<string>()
    store.otherwise = 'denied'
    store.decide = ({ entries }) => (entries.includes('b') ? 'refused' : undefined)
    store.next('unavailable')
    const kinds = [store.receive(['b']), store.receive(['b']), store.receive(['a'])]
    expect((await Promise.all(kinds)).map(({ kind }) => kind)).toEqual(['unavailable', 'refused', 'denied'])
  })

  test('refuses entries by name, or the whole request for them', async () => {
    const store = new ScriptedStore<string>()
    store.refuse((entry) => entry === 'bad', 'named')
    expect(await store.receive(['a', 'bad'])).toEqual({ kind: 'entries', outcomes: ['stored', 'refused'] })
    store.refuse((entry) => entry === 'bad', 'whole', 'conflict')
    expect(await store.receive(['b', 'bad'])).toEqual({ kind: 'conflict' })
    expect(await store.receive(['c'])).toEqual({ kind: 'stored' })
    expect(store.held).toEqual(['a', 'c'])
  })

  test('takes no request that is too large', async () => {
    const store = new ScriptedStore<string>()
    store.tooLargeAbove = 1
    expect(await store.receive(['a', 'b'])).toEqual({ kind: 'tooLarge' })
    expect(await store.receive(['a'])).toEqual({ kind: 'stored' })
  })

  test('answers no more requests than it is told', () => {
    const store = new ScriptedStore<string>({ maxRequests: 2 })
    for (const entry of ['a', 'b', 'c']) void store.receive([entry])
    expect(store.held).toEqual(['a', 'b'])
    expect(store.open).toHaveLength(1)
  })

  test('tells of requests and answers while they happen', async () => {
    const seen: string[] = []
    const store = new ScriptedStore<string>({
      onRequest: ({ number, answer }) => seen.push(`request ${number} ${answer?.kind ?? 'open'}`),
      onAnswer: ({ number, answer }) => seen.push(`answer ${number} ${answer?.kind ?? 'open'}`),
    })
    await store.receive(['a']).then(() => seen.push('the sink knows'))
    expect(seen).toEqual(['request 0 open', 'answer 0 stored', 'the sink knows'])
  })
})
