import { expect, test } from 'vitest'

import { WakeUp } from '../../src/runtime/signal.ts'

test('one wake-up wakes all who wait, and nobody who waits later', async () => {
  const signal = new WakeUp()
  const first = signal.wait()
  expect(signal.wait()).toBe(first)
  signal.wake()
  await first
  let woken = false
  void signal.wait().then(() => (woken = true))
  await new Promise(setImmediate)
  expect(woken).toBe(false)
  signal.wake()
  await new Promise(setImmediate)
  expect(woken).toBe(true)
})

test('a wake-up that nobody waits for is not kept', async () => {
  const signal = new WakeUp()
  signal.wake()
  let woken = false
  void signal.wait().then(() => (woken = true))
  await new Promise(setImmediate)
  expect(woken).toBe(false)
})
