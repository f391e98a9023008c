import { describe, expect, test } from 'vitest'
import type { WriteVerdict } from '../src/classify.ts'
import { halvedEntry, type Part, sendParts } from '../src/writer-parts.ts'

const REASON = { code: 'http400', message: 'status 400' }
const REFUSED: WriteVerdict = { kind: 'refused', reason: REASON, outcome: { isolate: REASON } }
const WRITTEN: WriteVerdict = { kind: 'written', reason: REASON, outcome: { isolate: REASON } }
const BUSY: WriteVerdict = { kind: 'busy', reason: REASON, outcome: { retryAll: REASON } }

/** A receiver that holds samples up to an index, and refuses a request with any of them. */
class Store {
  readonly requests: Part[] = []
  readonly written: number[] = []
  newest: number
  refuses: (index: number) => boolean = () => false

  constructor(newest: number) {
    this.newest = newest
  }

  take(part: Part): WriteVerdict {
    this.requests.push(part)
    for (let index = part.from; index < part.to; index++) {
      if (index <= this.newest || this.refuses(index)) return REFUSED
    }
    for (let index = part.from; index < part.to; index++) this.written.push(index)
    this.newest = part.to - 1
    return WRITTEN
  }
}

describe('sendParts', () => {
  test.each([
    [2, -1],
    [2, 0],
    [16, 0],
    [16, 7],
    [16, 14],
    [17, 15],
    [500, 250],
    [500, 499],
  ])(
    'of %i samples, of which the receiver has those up to %i, the rest is written, in order',
    async (count, newest) => {
      const store = new Store(newest)
      const progress = halvedEntry(count, REASON)
      expect(
        await sendParts(
          progress,
          (part) => Promise.resolve(store.take(part)),
          () => true,
        ),
      ).toBeUndefined()
      const rest = Array.from({ length: count - newest - 1 }, (_, index) => newest + 1 + index)
      expect(store.written).toStrictEqual(rest)
      expect(progress).toMatchObject({ written: rest.length, refused: newest + 1, pending: [] })
      expect(store.requests.length).toBeLessThan(2 * count)
    },
  )

  test('a sample is given up only when it was refused alone', async () => {
    const store = new Store(-1)
    store.refuses = (index) => index === 3 || index === 11
    const progress = halvedEntry(16, REASON)
    await sendParts(
      progress,
      (part) => Promise.resolve(store.take(part)),
      () => true,
    )
    expect(progress.refused).toBe(2)
    expect(store.written).toHaveLength(14)
    expect(store.requests).toContainEqual({ from: 3, to: 4 })
    expect(store.requests).toContainEqual({ from: 11, to: 12 })
  })

  test('what ends it before its end is told, and the rest goes on where it was', async () => {
    const store = new Store(2)
    const progress = halvedEntry(8, REASON)
    let count = 0
    const flaky = (part: Part): Promise<WriteVerdict> => Promise.resolve(++count % 3 === 0 ? BUSY : store.take(part))
    let rounds = 1
    while ((await sendParts(progress, flaky, () => true)) === BUSY) rounds++
    expect(rounds).toBeGreaterThan(1)
    expect(store.written).toStrictEqual([3, 4, 5, 6, 7])
    expect(progress).toMatchObject({ written: 5, refused: 3 })
  })

  test('no request is sent when it may not go on', async () => {
    const store = new Store(-1)
    const progress = halvedEntry(8, REASON)
    expect(
      await sendParts(
        progress,
        (part) => Promise.resolve(store.take(part)),
        () => false,
      ),
    ).toBe('later')
    expect(store.requests).toHaveLength(0)
    expect(progress.pending).toHaveLength(2)
  })
})
