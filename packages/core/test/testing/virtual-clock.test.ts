import { expect, test } from 'vitest'

import { VirtualClock } from '../../src/testing/virtual-clock.ts'

test('time stands still until it is moved, wall clock and monotonic clock alike', async () => {
  const clock = new VirtualClock(1000)
  expect([clock.now(), clock.wallNow()]).toEqual([0, 1000])
  await clock.flush()
  expect(clock.now()).toBe(0)
  await clock.advance(250)
  expect([clock.now(), clock.wallNow()]).toEqual([250, 1250])
})

test('timers fire at their time, in order of it, and in order of their making when equal', async () => {
  const clock = new VirtualClock()
  const fired: unknown[] = []
  for (const [name, delayMs] of Object.entries({ c: 30, a: 10, b1: 20, b2: 20 })) {
    clock.after(delayMs, () => fired.push([name, clock.now()]))
  }
  await clock.advance(29)
  expect(fired).toEqual([
    ['a', 10],
    ['b1', 20],
    ['b2', 20],
  ])
  expect(clock.pendingTimers).toBe(1)
  await clock.advance(1)
  expect(fired.at(-1)).toEqual(['c', 30])
})

test('what a timer starts happens before the next timer, new timers included', async () => {
  const clock = new VirtualClock()
  const log: string[] = []
  clock.after(10, () => {
    void Promise.resolve()
      .then(() => log.push('promise'))
      .then(() => clock.afterPoll(() => log.push('poll')))
    clock.after(5, () => log.push('nested'))
  })
  clock.after(20, () => log.push('last'))
  await clock.advance(20)
  expect(log).toEqual(['promise', 'poll', 'nested', 'last'])
})

test('a cancelled timer does not fire, not even in the turn in which it is due', async () => {
  const clock = new VirtualClock()
  const fired: string[] = []
  const second = clock.after(10, () => fired.push('second'))
  clock.after(5, () => second.cancel())
  await clock.advance(10)
  expect(fired).toEqual([])
})

test.each([-5, 0, Number.NaN])('a delay of %d is due at once, but never inside the call', async (delayMs) => {
  const clock = new VirtualClock()
  let fired = false
  clock.after(delayMs, () => (fired = true))
  expect(fired).toBe(false)
  await clock.advance(0)
  expect([fired, clock.now()]).toEqual([true, 0])
})
