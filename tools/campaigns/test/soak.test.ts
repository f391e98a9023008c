import { describe, expect, test } from 'vitest'
import { brokenSoakRules, growth } from '../src/soak/flat.ts'
import type { Vitals } from '../src/subject/vitals.ts'

const MIB = 1024 * 1024
const SECOND_MS = 1000

function samples(count: number, of: (index: number) => Partial<Vitals>): readonly Vitals[] {
  return Array.from({ length: count }, (_, index) => ({
    atMs: index * SECOND_MS,
    heapBytes: 20 * MIB,
    residentBytes: 100 * MIB,
    resources: 9,
    openFiles: 30,
    ...of(index),
  }))
}

function swelling(index: number): Partial<Vitals> {
  return { residentBytes: (100 + index / 20) * MIB }
}

describe('what a process holds', () => {
  test('is flat although it grew while it became warm', () => {
    const warming = samples(100, (index) => ({ heapBytes: Math.min(index, 25) * MIB, resources: Math.min(index, 20) }))
    expect(brokenSoakRules(growth(warming))).toEqual([])
  })

  test('is flat although single samples stick out', () => {
    const spiky = samples(100, (index) => (index % 10 === 0 ? { heapBytes: 90 * MIB, openFiles: 80 } : {}))
    expect(brokenSoakRules(growth(spiky))).toEqual([])
  })

  test('grows with every record, timer or file that is not let go', () => {
    const leaking = samples(100, (index) => ({ heapBytes: index * MIB, resources: index, openFiles: index }))
    expect(brokenSoakRules(growth(leaking))).toEqual([
      expect.stringContaining('the heap grew by'),
      expect.stringContaining('more timers, sockets and requests'),
      expect.stringContaining('more open files'),
    ])
  })

  test('grows outside of the heap: judged where it was watched for long', () => {
    expect(brokenSoakRules(growth(samples(100, swelling)))).toEqual([])
    expect(brokenSoakRules(growth(samples(2000, swelling)))).toEqual([
      expect.stringContaining('the resident memory grew by 3.00 MiB a minute'),
    ])
  })

  test('cannot be told from a few samples', () => {
    expect(() => growth(samples(29, () => ({})))).toThrow('29 samples say nothing')
  })
})
