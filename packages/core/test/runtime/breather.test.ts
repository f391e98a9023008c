import { expect, test } from 'vitest'

import { Breather } from '../../src/runtime/breather.ts'
import { type Clock, systemClock } from '../../src/runtime/clock.ts'

/** A clock whose poll phase comes when the test says so. */
function handClock(): { readonly clock: Clock; readonly poll: () => void; readonly pass: (ms: number) => void } {
  let now = 0
  const callbacks: (() => void)[] = []
  return {
    clock: { ...systemClock, now: () => now, afterPoll: (callback) => void callbacks.push(callback) },
    poll: () => {
      for (const callback of callbacks.splice(0)) callback()
    },
    pass: (ms) => void (now += ms),
  }
}

test('a loop of resolved promises does not starve a timer', async () => {
  const breather = new Breather(systemClock)
  const timer = new AbortController()
  setTimeout(() => timer.abort(), 1)
  let turns = 0
  while (!timer.signal.aborted) {
    if (++turns > 10_000_000) throw new Error('the timer never ran')
    await Promise.resolve()
    const pause = breather.turn()
    if (pause !== undefined) await pause
  }
  expect(turns).toBeGreaterThan(0)
})

test('the 64th turn in a row waits, and the count starts anew after it', async () => {
  const { clock, poll } = handClock()
  const breather = new Breather(clock)
  for (let round = 0; round < 3; round++) {
    for (let turn = 1; turn < 64; turn++) expect(breather.turn()).toBeUndefined()
    const pause = breather.turn()
    expect(pause).toBeInstanceOf(Promise)
    poll()
    await pause
  }
})

test('10 ms of synchronous work are enough to wait', async () => {
  const { clock, poll, pass } = handClock()
  const breather = new Breather(clock)
  pass(9)
  expect(breather.turn()).toBeUndefined()
  pass(1)
  const pause = breather.turn()
  expect(pause).toBeInstanceOf(Promise)
  poll()
  await pause
  expect(breather.turn()).toBeUndefined()
})

test('it waits for the poll phase, not only for a promise', async () => {
  const { clock, poll, pass } = handClock()
  const breather = new Breather(clock)
  pass(10)
  let rested = false
  const pause = breather.turn()?.then(() => (rested = true))
  await new Promise(setImmediate)
  expect(rested).toBe(false)
  poll()
  await pause
  expect(rested).toBe(true)
})

test('whoever waited for something real starts with a full measure', () => {
  const { clock, pass } = handClock()
  const breather = new Breather(clock)
  for (let turn = 1; turn < 64; turn++) void breather.turn()
  pass(10)
  breather.rested()
  expect(breather.turn()).toBeUndefined()
})
