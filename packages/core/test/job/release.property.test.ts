import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ALL_WRITTEN, type ReleaseHow } from '../../src/index.ts'
import { delay } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/testing.ts'
import { ReleaseWorld, SPLITS } from './release-world.ts'

const splitId = fc.constantFrom(...SPLITS)
const how = fc.constantFrom<ReleaseHow>('revoked', 'lost', 'drained')

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ push: splitId, count: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 8, arbitrary: fc.record({ advance: fc.constantFrom(0, 1, 7, 40, 110, 400) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      release: fc.uniqueArray(splitId, { minLength: 1 }),
      how,
      deadlineMs: fc.constantFrom(0, 1, 50, 300, 2000),
    }),
  },
  { weight: 5, arbitrary: fc.record({ assign: splitId, subtask: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.constant({ restart: true }) },
)

test('no position leaves core before everything before it is stored, however splits come and go', async () => {
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 1_000_000_007)
  const seen = new Set<string>()
  const plan = fc.record({
    steps: fc.array(step, { minLength: 4, maxLength: 40, size: 'max' }),
    asynchronous: fc.boolean(),
    positionAuthority: fc.constantFrom('checkpoint' as const, 'external' as const),
    luck: fc.nat(1_000_000),
  })
  const observe = async ({ steps, luck, ...shape }: typeof plan extends fc.Arbitrary<infer T> ? T : never) => {
    const random = seededRandom(luck)
    let isCalm = false
    const world = new ReleaseWorld({
      ...shape,
      onSubmit: async (_sink, clock) => {
        if (isCalm) return ALL_WRITTEN
        await delay(clock, random() * (random() < 0.2 ? 1500 : 60))
        const reason = { code: 'Busy', message: 'later' }
        return random() < 0.3 ? { retryAll: reason, slowDown: false } : ALL_WRITTEN
      },
      onCall: (clock) => (isCalm ? undefined : delay(clock, random() * 80)),
    })
    await world.start()
    for (const each of steps) {
      if ('push' in each) world.push(each.push, each.count)
      else if ('advance' in each) await world.clock.advance(each.advance)
      else if ('release' in each) void world.release(each.release, each.how, each.deadlineMs)
      else if ('assign' in each) world.assign(each.assign, each.subtask)
      else await world.restart()
    }
    isCalm = true
    await world.finish()
    for (const event of world.seen) seen.add(event)
  }
  await fc.assert(fc.asyncProperty(plan, observe), { seed, numRuns: 60 })
  expect([...seen].toSorted()).toEqual(['came back', 'drained', 'lost', 'nothing released', 'restart', 'revoked'])
}, 120_000)
