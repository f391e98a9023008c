import { describe, expect, test } from 'vitest'
import { perCheckpoint, perSecond, type SourceRateLimit } from '../../src/index.ts'
import { RateGate } from '../../src/job/rate-gate.ts'
import { VirtualClock } from './harness.ts'

function bench(limit: SourceRateLimit) {
  const clock = new VirtualClock()
  const requests: string[] = []
  const gate = new RateGate(limit, { clock, requestCheckpoint: (reason) => void requests.push(reason) })
  return { clock, gate, requests }
}

/** A loop that takes permits until the gate ends it. */
function loop(gate: RateGate, wanted = 256) {
  const state = { taken: 0, stopped: false }
  const run = async (): Promise<void> => {
    while (!state.stopped) {
      const granted = gate.take(state, wanted)
      state.taken += granted
      if (granted === 0) await gate.again()
    }
    gate.leave(state)
  }
  void run()
  return state
}

describe('per second', () => {
  test.each([0.5, 1, 7, 100, 1000, 12_345])('%d records pass in each second, neither more nor less', async (rate) => {
    const { clock, gate } = bench(perSecond(rate))
    const one = loop(gate)
    for (let second = 1; second <= 10; second++) {
      await clock.advance(1000)
      expect(one.taken).toBeLessThanOrEqual(rate * second)
      expect(one.taken).toBeGreaterThan(rate * second - Math.max(2, rate / 50))
    }
    one.stopped = true
    gate.end()
    expect(clock.pendingTimers).toBe(0)
  })

  test('after a pause one second of records at most is made up for', async () => {
    const { clock, gate } = bench(perSecond(100))
    await clock.advance(3_600_000)
    const one = loop(gate)
    expect(one.taken).toBe(100)
    await clock.advance(1000)
    expect(one.taken).toBeLessThanOrEqual(200)
    one.stopped = true
    gate.end()
  })

  test('few timers serve many records', async () => {
    const { clock, gate } = bench(perSecond(100_000))
    let timers = 0
    const after = clock.after.bind(clock)
    clock.after = (delayMs, callback) => {
      timers++
      return after(delayMs, callback)
    }
    const one = loop(gate)
    await clock.advance(1000)
    expect(one.taken).toBeGreaterThan(98_000)
    expect(timers).toBeLessThanOrEqual(101)
    one.stopped = true
    gate.end()
  })

  test('loops that share the gate share the rate, and none starves', async () => {
    const { clock, gate } = bench(perSecond(1000))
    const loops = [loop(gate), loop(gate, 1), loop(gate)]
    await clock.advance(10_000)
    const sum = loops.reduce((taken, each) => taken + each.taken, 0)
    expect(sum).toBeLessThanOrEqual(10_000)
    expect(sum).toBeGreaterThan(9_800)
    for (const { taken } of loops) expect(taken).toBeGreaterThan(250)
    for (const each of loops) each.stopped = true
    gate.end()
  })

  test('whoever leaves holds nobody up', async () => {
    const { clock, gate } = bench(perSecond(10))
    const gone = {}
    expect(gate.take(gone, 5)).toBe(0)
    const one = loop(gate)
    await clock.advance(1000)
    expect(one.taken).toBe(0)
    gate.leave(gone)
    await clock.flush()
    expect(one.taken).toBe(10)
    one.stopped = true
    gate.end()
  })
})

describe('per checkpoint', () => {
  test('so many pass before the first and after each, and one is asked for when they are used up', async () => {
    const { clock, gate, requests } = bench(perCheckpoint(300))
    const one = loop(gate)
    await clock.advance(1000)
    expect(one.taken).toBe(300)
    expect(requests).toEqual(['rate limit'])
    expect(gate.status()).toEqual({ kind: 'perCheckpoint', records: 300, waiting: true })
    gate.checkpointEnded(true)
    await clock.flush()
    expect(one.taken).toBe(600)
    expect(requests).toHaveLength(2)
    expect(clock.pendingTimers).toBe(0)
  })

  test('one that was not stored lets nobody pass and is asked for again', async () => {
    const { clock, gate, requests } = bench(perCheckpoint(1))
    const one = loop(gate)
    gate.checkpointEnded(false)
    await clock.flush()
    expect(one.taken).toBe(1)
    expect(requests).toHaveLength(2)
  })

  test('what was not needed passes later', () => {
    const { gate } = bench(perCheckpoint(10))
    const who = {}
    expect(gate.take(who, 8)).toBe(8)
    gate.giveBack(5)
    expect(gate.take(who, 256)).toBe(7)
  })
})
