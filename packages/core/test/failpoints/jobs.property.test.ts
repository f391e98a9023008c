import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { EVENTS, PLAN, type Plan, RandomJob } from './random-job.ts'

test('random jobs over sources of every shape lose nothing, whoever fails, dies, drains or closes in between', async () => {
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 1_000_000)
  const runs = Number(process.env['SLUICE_RUNS'] ?? 150)
  const met = new Set<string>()
  const observe = async (plan: Plan): Promise<void> => {
    const run = new RandomJob(plan)
    await run.run()
    expect(run.problems).toEqual([])
    for (const a of run.events) for (const b of run.events) if (a < b) met.add(`${a} x ${b}`)
  }
  await fc.assert(fc.asyncProperty(PLAN, observe), { seed, numRuns: runs, endOnFailure: true })
  const events = EVENTS
  const pairs = events.flatMap((a) => events.filter((b) => a < b).map((b) => `${a} x ${b}`))
  const missed = pairs.filter((pair) => !met.has(pair))
  console.log(JSON.stringify({ test: 'jobs over three shapes', seed, runs, pairs: pairs.length, missed }))
  expect(missed.length / pairs.length).toBeLessThanOrEqual(0.05)
}, 120_000)
