import type { StoreCommand } from '../scripted-store.ts'
import { seededRandom } from '../seeded-random.ts'
import type { SinkCase } from './sink-case.ts'
import type { Stand } from './stand.ts'
import type { SentEntry } from './subject.ts'

const KEYS = ['ant', 'bee', 'cat', 'dog', 'elk', 'fox', 'gnu', 'hen', 'ibis', 'jay', 'koi', 'lynx'] as const

/**
 * Order of the entries of one key: whatever happens to one, none that came after it is sent before it has its outcome. The rule
 * itself is looked at whenever a request arrives; these cases make it hard.
 */
export const ORDER_CASES: readonly SinkCase[] = [
  {
    name: 'entries of a key keep their order',
    promises: [6],
    needs: { orderKey: ['keyed', 'own'] },
    async run(open) {
      const stand = await open({ keyed: true })
      for (let round = 0; round < 20; round++) {
        await stand.offerAll(stand.make(3, { key: KEYS[round % 3] ?? '' }))
        await stand.advance(30)
      }
      await stand.drain()
      expectInOrder(stand)
    },
  },
  {
    name: 'nothing of a key overtakes an entry that is sent again',
    promises: [6],
    needs: { orderKey: ['keyed', 'own'] },
    async run(open) {
      await disturbed(await open({ keyed: true }), ['stored', 'unavailable', 'stored', 'unavailable', 'unavailable'])
    },
  },
  {
    name: 'nothing of a key overtakes an entry whose request was cut',
    promises: [6, 8],
    needs: { orderKey: ['keyed', 'own'] },
    async run(open) {
      await disturbed(await open({ keyed: true }), ['cutBeforeApply', 'stored', 'cutAfterApply', 'stored'])
    },
  },
  {
    name: 'nothing of a key overtakes an entry whose request was not answered',
    promises: [6, 8],
    needs: { orderKey: ['keyed', 'own'] },
    async run(open) {
      await disturbed(await open({ keyed: true }), ['stored', 'silentBeforeApply', 'stored', 'stored'])
    },
  },
  {
    name: 'nothing of a key overtakes a single entry that is busy',
    promises: [6],
    needs: { orderKey: ['keyed', 'own'], entryRetries: [true] },
    async run(open) {
      const random = seededRandom(4)
      const busy = { entries: () => (random() < 0.4 ? 'busy' : 'stored') } as const
      await disturbed(await open({ keyed: true }), [busy])
    },
  },
  {
    name: 'nothing of a key overtakes one that is being isolated',
    promises: [6, 9],
    needs: { orderKey: ['keyed', 'own'], wholeRefusals: [true] },
    async run(open) {
      const stand = await open({ keyed: true })
      stand.store.refuse(({ sequence }) => sequence % 7 === 3, 'whole')
      const inputs = await disturbed(stand, ['stored'])
      const bad = inputs.filter(({ record }) => record.sequence % 7 === 3)
      for (const { record, refusals } of inputs) {
        const isBad = record.sequence % 7 === 3
        stand.expect(
          refusals.length === (isBad ? 1 : 0),
          `${record.key}/${record.sequence} has ${refusals.length} refusals`,
        )
      }
      stand.expectStored(bad)
    },
  },
  {
    name: 'entries of one value keep their order',
    promises: [6],
    needs: { orderKey: ['keyed', 'own'], fanOut: [true] },
    async run(open) {
      const stand = await open({ keyed: true })
      const random = seededRandom(5)
      stand.store.decide = () => (random() < 0.3 ? 'unavailable' : 'stored')
      for (let round = 0; round < 6; round++) {
        await stand.offerAll(stand.make(1, { key: KEYS[round % 2] ?? '', entries: 7 }))
      }
      await stand.drain()
      expectInOrder(stand)
    },
  },
  {
    name: 'a key that waits does not stop all others',
    promises: [6, 9],
    needs: { orderKey: ['keyed', 'own'] },
    async run(open) {
      const stand = await open({ keyed: true })
      stand.store.decide = ({ entries }) => (entries.some(isStuck) ? 'unavailable' : 'stored')
      await stand.offerAll(stand.make(2, { key: 'ant' }))
      stand.writer.hasten()
      await stand.advance(500)
      for (const key of KEYS.slice(1)) await stand.offerAll(stand.make(2, { key }))
      stand.writer.hasten()
      await stand.until('an entry of another key is stored', () => stand.store.held.length > 0, 30_000)
      stand.expect(!stand.store.held.some(isStuck), 'the store took what it has refused')
      stand.store.decide = undefined
      await stand.drain()
      expectInOrder(stand)
    },
  },
  {
    name: 'order needs no keys of the pipeline where the sink has its own',
    promises: [6],
    needs: { orderKey: ['own'] },
    async run(open) {
      await disturbed(await open(), ['stored', 'unavailable', 'cutAfterApply', 'stored'])
    },
  },
]

function isStuck({ key }: SentEntry): boolean {
  return key === 'ant'
}

/** Many values of few keys, in small portions, while requests end as the commands say, in turn. */
async function disturbed(stand: Stand, commands: readonly StoreCommand<SentEntry>[]): Promise<Stand['book']['inputs']> {
  const random = seededRandom(6)
  stand.store.decide = ({ number }) => commands[number % commands.length]
  for (let round = 0; round < 25; round++) {
    const key = KEYS[Math.floor(random() * 4)] ?? ''
    await stand.offerAll(stand.make(1 + Math.floor(random() * 4), { key }), 10 * stand.limits.requestTimeoutMs)
    if (random() < 0.3) stand.writer.hasten()
    await stand.advance(Math.floor(random() * 200))
  }
  stand.writer.hasten()
  await stand.advance(500)
  stand.store.decide = undefined
  await stand.drain(20 * stand.limits.requestTimeoutMs)
  const { inputs } = stand.book
  expectInOrder(
    stand,
    inputs.filter(({ refusals }) => refusals.length > 0),
  )
  return inputs
}

/** First arrivals of each key are in order; the rule for each request is the stronger one. */
function expectInOrder(stand: Stand, but: Stand['book']['accepted'] = []): void {
  const { reordered } = stand.expectStored(but)
  stand.expect(reordered === 0, `${reordered} entries are in the store after a later one of their key`)
}
