import { isDeepStrictEqual } from 'node:util'
import type { Explanation } from '../../sink/spi.ts'
import type { Input } from './book.ts'
import type { SinkCase } from './sink-case.ts'
import type { Stand } from './stand.ts'

/** `explain` tells what would be sent, and does nothing. */
export const EXPLAIN_CASES: readonly SinkCase[] = [
  {
    name: 'the sink has explain if, and only if, that is declared',
    promises: [9],
    async run(open) {
      const stand = await open()
      const { sink, abilities } = stand
      const has = sink.explain !== undefined
      stand.expect(
        has === abilities.explain,
        has ? 'explain is there, and not declared' : 'explain is declared, and not there',
      )
    },
  },
  {
    name: 'explain tells what is sent, and changes nothing',
    promises: [9, 11],
    needs: { explain: [true] },
    async run(open) {
      const stand = await open()
      const inputs = [...stand.make(3), ...(stand.abilities.fanOut ? stand.make(1, { entries: 3 }) : [])]
      if (stand.abilities.fanOut) inputs.push(...stand.make(1, { entries: 0 }))
      const before = stand.writer.status()
      const explained = inputs.map((input) => explain(stand, input))
      const again = inputs.map((input) => explain(stand, input))
      await stand.advance(5000)
      stand.expect(stand.store.requests.length === 0, 'explain has sent a request')
      stand.expect(isDeepStrictEqual(stand.writer.status(), before), 'explain has changed the figures of the writer')
      stand.expect(isDeepStrictEqual(explained, again), 'explain tells something else the second time')
      stand.expect(stand.offer(inputs) === inputs.length, 'there is room for all values')
      await stand.drain()
      stand.expectStored()
      for (const [index, input] of inputs.entries()) {
        const contents = Array.from({ length: input.record.entries }, (_, part) => input.sends.get(part)?.content)
        const told = explained[index]?.entries.map(({ entry }) => stand.decode(entry).content)
        const sent = JSON.stringify(contents)
        stand.expect(JSON.stringify(told) === sent, `explain tells ${JSON.stringify(told)}, sent was ${sent}`)
      }
    },
  },
  {
    name: 'explain tells what would be refused, and does not throw',
    promises: [9],
    needs: { explain: [true], conversionRefusals: [true] },
    async run(open) {
      const stand = await open()
      const [input] = stand.make(1, { conversionThrows: true })
      const explanation = input === undefined ? undefined : explain(stand, input)
      const refusals = [explanation?.refusal, ...(explanation?.entries ?? []).flatMap((entry) => entry.refusals)]
      const told = refusals.filter((refusal) => refusal !== undefined)
      stand.expect(told.length > 0, 'explain tells no reason for a value that is refused')
      stand.expect(
        told.every(({ code, message }) => code !== '' && message !== ''),
        'a reason has no code or no message',
      )
    },
  },
]

function explain(stand: Stand, input: Input): Explanation | undefined {
  return stand.sink.explain?.(stand.value(input))
}
