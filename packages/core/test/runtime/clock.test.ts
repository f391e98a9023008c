import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'

import { type Clock, deadline, delay, systemClock } from '../../src/runtime/clock.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'

test('an answer that waits in the socket while the process is busy beats its deadline', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
  const [peer] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')]))[0] as [Socket]
  let expired = false
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const timer = deadline(systemClock, 1, () => {
    expired = true
    end()
  })
  socket.once('data', () => {
    timer.cancel()
    end()
  })
  peer.write('answer')
  // The answer lies in the socket and the deadline passes, both while nothing can be read.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  await ended
  await new Promise(setImmediate)
  socket.destroy()
  peer.destroy()
  server.close()
  expect(expired).toBe(false)
})

test('without an answer the deadline expires once', async () => {
  const clock = new VirtualClock()
  let expired = 0
  const timer = deadline(clock, 100, () => expired++)
  await clock.advance(99)
  expect(expired).toBe(0)
  await clock.advance(1)
  expect(expired).toBe(1)
  timer.cancel()
  await clock.advance(1000)
  expect(expired).toBe(1)
})

test('a cancelled deadline leaves no timer', () => {
  const clock = new VirtualClock()
  deadline(clock, 100, () => {}).cancel()
  expect(clock.pendingTimers).toBe(0)
})

test('delay resolves after its time', async () => {
  const clock = new VirtualClock()
  let done = false
  void delay(clock, 100).then(() => (done = true))
  await clock.advance(99)
  expect(done).toBe(false)
  await clock.advance(1)
  expect(done).toBe(true)
})

test('delay resolves at once when its signal aborts, without a timer or a listener left', async () => {
  const clock = new VirtualClock()
  const abort = new AbortController()
  const waits = [delay(clock, 100, abort.signal), delay(clock, 100, abort.signal)]
  abort.abort()
  await Promise.all(waits)
  await delay(clock, 100, abort.signal)
  expect([clock.now(), clock.pendingTimers]).toEqual([0, 0])
})

test('the system clock: a delay that no timer of Node.js can hold does not fire at once', async () => {
  let fired = false
  const timer = systemClock.after(2 ** 40, () => (fired = true))
  await new Promise<void>((resolve) => void systemClock.after(5, resolve))
  expect(fired).toBe(false)
  timer.cancel()
})

test('the system clock: monotonic time, wall time, a cancelled timer', async () => {
  const clock: Clock = systemClock
  const before = clock.now()
  let fired = false
  clock.after(1, () => (fired = true)).cancel()
  await new Promise<void>((resolve) => void clock.after(-5, resolve))
  await new Promise<void>((resolve) => void clock.after(2, resolve))
  await new Promise<void>((resolve) => clock.afterPoll(resolve))
  expect(clock.now()).toBeGreaterThan(before)
  expect(fired).toBe(false)
  expect(clock.wallNow()).toBeGreaterThan(Date.UTC(2024, 0, 1))
})
