import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import type { RecordBatch } from '../../src/index.ts'
import type { TrackedBatch } from '../../src/tracker/run.ts'
import { Tracker } from '../../src/tracker/tracker.ts'

interface Input {
  references: number
  readonly batch: number
  readonly splitId: string
  readonly position: string
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ open: fc.constantFrom('a', 'b', 'c') }) },
  { weight: 12, arbitrary: fc.record({ emit: fc.array(fc.nat(3), { minLength: 1, maxLength: 200 }) }) },
  { weight: 12, arbitrary: fc.record({ settle: fc.array(fc.nat(), { minLength: 1, maxLength: 200 }) }) },
  { weight: 4, arbitrary: fc.record({ grow: fc.nat(), by: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 4, arbitrary: fc.constant({ barrier: true }) },
)

/** The same in the most naive way: a list of all inputs. */
test('the tracker says what a list of all inputs says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const tracker = new Tracker()
      const batches: TrackedBatch[] = []
      const inputs: Input[] = []
      const tokens: number[] = []
      const barriers: { readonly at: number; resolved: boolean }[] = []
      let inBatch = 0
      const open = (id: string): void => {
        inBatch = 0
        const raw = (index: number): object => ({ position: `${id}${index}` })
        const byteLengths = Uint32Array.of(batches.length, 7)
        batches.push(tracker.track('source', { splitId: id, byteLengths, raw } as unknown as RecordBatch<unknown>))
      }
      const watermark = (): number => {
        const lowest = inputs.findIndex(({ references }) => references > 0)
        return lowest === -1 ? inputs.length : lowest
      }
      const unsettled = (): number[] => [...inputs.keys()].filter((token) => (inputs[token]?.references ?? 0) > 0)
      const pick = (number: number): number | undefined => unsettled()[number % Math.max(1, unsettled().length)]
      const change = (token: number | undefined, by: number): void => {
        const input = inputs[token ?? -1]
        if (token === undefined || input === undefined) return
        input.references += by
        if (by === -1) tracker.settle(token)
        else tracker.add(token, by)
      }
      open('a')
      for (const each of steps) {
        if ('open' in each) open(each.open)
        else if ('emit' in each) {
          for (const references of each.emit) {
            // Batches take turns, as those of several subtasks do.
            const batch = Math.max(0, batches.length - 1 - (inputs.length % 2))
            const tracked = batches[batch] as TrackedBatch
            const id = tracked.batch.splitId
            inputs.push({ references, batch, splitId: id, position: `${id}${inBatch}` })
            tokens.push(tracker.emit(tracked, inBatch++, references))
          }
        } else if ('settle' in each) for (const number of each.settle) change(pick(number), -1)
        else if ('grow' in each) change(pick(each.grow), each.by)
        else {
          const barrier = { at: tracker.next, resolved: false }
          barriers.push(barrier)
          void tracker.settledUpTo(barrier.at).then(() => (barrier.resolved = true))
        }
        expect(tokens.at(-1) ?? -1).toBe(inputs.length - 1)
        expect([tracker.next, tracker.watermark, tracker.unsettled]).toEqual([
          inputs.length,
          watermark(),
          unsettled().length,
        ])
        const retained = new Set(unsettled().map((token) => inputs[token]?.batch ?? -1))
        expect(tracker.retainedBytes).toBe([...retained].reduce((sum, batch) => sum + batch + 7, 0))
        const bySplit = new Map<string, number>()
        for (const token of unsettled()) {
          const { splitId: id = '' } = inputs[token] ?? {}
          bySplit.set(id, (bySplit.get(id) ?? 0) + 1)
        }
        expect(tracker.unsettledBySplit()).toEqual(bySplit)
        for (const token of unsettled().slice(0, 5)) {
          const { splitId: id, position } = inputs[token] ?? {}
          expect(tracker.origin(token)).toEqual({ source: 'source', splitId: id, raw: { position } })
        }
        await Promise.resolve()
        expect(barriers.map(({ resolved }) => resolved)).toEqual(barriers.map(({ at }) => watermark() >= at))
      }
      for (let token = pick(0); token !== undefined; token = pick(0)) change(token, -1)
      expect([tracker.watermark, tracker.unsettled]).toEqual([inputs.length, 0])
    }),
    { numRuns: 60 },
  )
})
