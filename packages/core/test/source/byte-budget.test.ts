import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteBudget } from '../../src/source/byte-budget.ts'

const live = new AbortController().signal

async function granted(promise: Promise<boolean>): Promise<boolean | 'waiting'> {
  return Promise.race([promise, Promise.resolve().then(() => Promise.resolve('waiting' as const))])
}

describe('a byte budget', () => {
  test('grants what fits and lets the rest wait, first come, first served', async () => {
    const budget = new ByteBudget(10)
    expect(await granted(budget.acquire(6, live))).toBe(true)
    const large = budget.acquire(6, live)
    const small = budget.acquire(1, live)
    // The small one would fit, and would starve the large one.
    expect(await granted(small)).toBe('waiting')
    expect(budget.held).toBe(6)
    budget.release(6)
    expect(await granted(large)).toBe(true)
    expect(await granted(small)).toBe(true)
    expect(budget.held).toBe(7)
  })

  test('grants more than its limit when nothing is held, and then nothing more', async () => {
    const budget = new ByteBudget(10)
    expect(await granted(budget.acquire(50, live))).toBe(true)
    const next = budget.acquire(1, live)
    expect(await granted(next)).toBe('waiting')
    budget.release(45)
    expect(await granted(next)).toBe(true)
  })

  test('drops a waiter whose signal aborts, and the next one moves up', async () => {
    const budget = new ByteBudget(10)
    await budget.acquire(8, live)
    const abort = new AbortController()
    const gone = budget.acquire(9, abort.signal)
    const next = budget.acquire(2, live)
    expect(await granted(next)).toBe('waiting')
    abort.abort()
    expect(await gone).toBe(false)
    expect(await granted(next)).toBe(true)
    expect(budget.held).toBe(10)
  })

  test('grants nothing to a signal that has aborted', async () => {
    const budget = new ByteBudget(10)
    expect(await budget.acquire(1, AbortSignal.abort())).toBe(false)
    expect(budget.held).toBe(0)
  })

  test('a signal that aborts after the grant takes nothing back', async () => {
    const budget = new ByteBudget(10)
    const abort = new AbortController()
    await budget.acquire(10, live)
    const waiter = budget.acquire(5, abort.signal)
    budget.release(10)
    expect(await waiter).toBe(true)
    abort.abort()
    expect(budget.held).toBe(5)
  })

  test('holds at most its limit, or one grant above it, and everybody gets his turn', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 15 }), { maxLength: 40 }), async (sizes) => {
        const budget = new ByteBudget(10)
        let holders = 0
        await Promise.all(
          sizes.map(async (bytes) => {
            expect(await budget.acquire(bytes, live)).toBe(true)
            holders++
            expect(budget.held <= 10 || holders === 1).toBe(true)
            await Promise.resolve()
            holders--
            budget.release(bytes)
          }),
        )
        expect(budget.held).toBe(0)
      }),
    )
  })
})
