import { expect, test } from 'vitest'
import { noRestart, stream } from '../../src/index.ts'
import { InMemorySink, InMemorySource, range, until, VirtualClock } from './harness.ts'

const INTERVAL_MS = 1_000

/** A source of which every acknowledgement is answered by the given function. */
function sourceThat(authority: 'checkpoint' | 'external', acknowledge: () => Promise<void>): InMemorySource<number> {
  const source = new InMemorySource<number>()
  const makeReader = source.createReader.bind(source)
  return Object.assign(source, {
    positionAuthority: authority,
    createReader: (context: Parameters<typeof makeReader>[0]) => Object.assign(makeReader(context), { acknowledge }),
  })
}

test.each([
  ['external', 3],
  ['checkpoint', 0],
] as const)(
  'authority %s: before it is acknowledged, a kill would repeat %i of 3 settled records',
  async (authority, repeated) => {
    const clock = new VirtualClock()
    let fails = false
    const source = sourceThat(authority, () => (fails ? Promise.reject(new Error('cut')) : Promise.resolve()))
    const sink = new InMemorySink<number>()
    const checkpoints = { intervalMs: INTERVAL_MS }
    const job = stream(source).sinkTo(sink).start({ name: 'positions', clock, restart: noRestart(), checkpoints })
    await until(clock, () => job.status().state === 'running')
    fails = true
    source.push('0', ...range(3))
    await until(clock, () => sink.stored.length === 3, 100)
    const completed = (): number => job.status().checkpoints?.completed ?? 0
    const before = completed()
    await until(clock, () => completed() > before + 1, 100)
    expect(job.status()).toMatchObject({ unsettled: 0, repeatIfKilledNow: repeated })
    fails = false
    await until(clock, () => job.status().repeatIfKilledNow === 0, 100)
    await job.close()
  },
)
