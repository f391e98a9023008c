import { describe, expect, test } from 'vitest'

import { type Entry, Harness, leastJitter, NOTHING_LEFT, type Shape, WRITTEN } from './harness.ts'

function converting(convert: NonNullable<Shape['convert']>): Harness {
  return new Harness({ maxBatchSize: 2 }, leastJitter, { convert })
}

function entryOf(name: string): Entry {
  return { name, size: 2, weight: 1 }
}

const ASYNCHRONOUS = 'convert is asynchronous: it must emit before it returns; use mapAsync for look-ups'

describe('an asynchronous conversion', () => {
  test('refuses its value with a message that says what to do', async () => {
    const harness = converting(async ({ name }, emit) => {
      await Promise.resolve()
      emit(entryOf(name))
    })
    harness.offer('a')
    expect(harness.settlement.refusals).toMatchObject([
      { token: 0, stage: 'convert', value: { name: 'a' }, reason: { code: 'convertThrew', message: ASYNCHRONOUS } },
    ])
    await harness.clock.flush()
    expect(harness.writer.status()).toMatchObject({ accepted: 1, deadLettered: 1, ...NOTHING_LEFT })
  })

  test('what it emits late belongs to nobody: the attempt fails instead', async () => {
    const gates: PromiseWithResolvers<void>[] = []
    const harness = converting(({ name }, emit) => {
      if (name !== 'late') return emit(entryOf(name))
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      return gate.promise.then(() => emit(entryOf(name)))
    })
    harness.offer('late', 'b')
    gates[0]?.resolve()
    await harness.clock.flush()
    harness.offer('c')
    expect((await harness.only()).names).toEqual(['b', 'c'])
    expect(harness.failures).toMatchObject([
      { code: 'SLUICE_SINK_FAILED', message: 'sink test: convert called emit after it had returned' },
    ])
    expect(harness.writer.status()).toMatchObject({ accepted: 3, inHand: 2, deadLettered: 1 })
    expect(harness.settlement.violations).toEqual([])
  })

  test('that emits before its first await is refused too: what it emits later would be lost', async () => {
    const harness = converting(async ({ name }, emit) => {
      emit(entryOf(name))
      await Promise.resolve()
    })
    harness.offer('a', 'b', 'c')
    await harness.clock.advance(2000)
    expect(harness.sent()).toEqual([])
    expect(harness.settlement.refusals).toHaveLength(3)
    expect(harness.writer.status()).toMatchObject({ accepted: 3, deadLettered: 3, ...NOTHING_LEFT })
    expect(harness.failures).toEqual([])
  })

  test('that fails is refused once, and its failure is nobody’s unhandled rejection', async () => {
    const harness = converting(() => Promise.reject(new Error('look-up failed')))
    harness.offer('a')
    await harness.clock.flush()
    expect(harness.settlement.refusals).toMatchObject([{ reason: { message: ASYNCHRONOUS } }])
  })
})

test('a conversion that is a generator is refused instead of counting as a filter', async () => {
  const harness = converting(function* ({ name }) {
    yield entryOf(name)
  })
  harness.offer('a')
  expect(harness.settlement.refusals).toMatchObject([
    { reason: { message: 'convert is a generator: it must call emit instead of yielding' } },
  ])
  await harness.clock.flush()
  expect(harness.writer.status()).toMatchObject({ accepted: 1, deadLettered: 1, ...NOTHING_LEFT })
})

test('emit called synchronously after the conversion threw fails the attempt and adds nothing', async () => {
  let kept: ((entry: Entry) => void) | undefined
  const harness = converting(({ name }, emit) => {
    kept = emit
    if (name === 'bad') throw new Error('bad')
    emit(entryOf(name))
  })
  harness.offer('bad')
  kept?.(entryOf('stray'))
  harness.offer('a', 'b')
  expect((await harness.only()).names).toEqual(['a', 'b'])
  expect(harness.failures).toHaveLength(1)
  expect(harness.writer.status().accepted).toBe(3)
})

test('what a conversion gives back beside that is of no interest', async () => {
  const harness = converting(({ name }, emit) => [name].map((each) => emit(entryOf(each))))
  harness.autoAnswer = () => WRITTEN
  harness.offer('a', 'b')
  await harness.clock.flush()
  expect(harness.writer.status()).toMatchObject({ written: 2, ...NOTHING_LEFT })
})
