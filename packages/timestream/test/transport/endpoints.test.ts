import { VirtualClock } from '@sluice/core/testing'
import { expect, test } from 'vitest'
import { type Discovered, Endpoints } from '../../src/transport/endpoints.ts'

const MINUTE = 60_000

function endpoints(answer: (call: number) => Discovered | Error = (call) => at(`cell${call}`)): {
  readonly clock: VirtualClock
  readonly endpoints: Endpoints
  readonly calls: () => number
  readonly host: () => Promise<string>
} {
  const clock = new VirtualClock()
  let calls = 0
  const made = new Endpoints(clock, async () => {
    const given = answer(++calls)
    await Promise.resolve()
    if (given instanceof Error) throw given
    return given
  })
  return { clock, endpoints: made, calls: () => calls, host: async () => (await made.get()).hostname }
}

const at = (host: string): Discovered => ({ url: new URL(`https://${host}`), expiresInMs: 10 * MINUTE })

test('requests that ask together share a discovery, whose answer is kept for its time', async () => {
  const { clock, calls, host } = endpoints()
  expect(await Promise.all([host(), host(), host()])).toEqual(['cell1', 'cell1', 'cell1'])
  await clock.advance(7 * MINUTE)
  expect(await host()).toBe('cell1')
  expect(calls()).toBe(1)
})

test('before its time is over it is asked for anew, and used meanwhile', async () => {
  const { clock, calls, host } = endpoints()
  await host()
  await clock.advance(8 * MINUTE)
  expect(await host()).toBe('cell1')
  await clock.flush()
  expect(await host()).toBe('cell2')
  expect(calls()).toBe(2)
})

test('a renewal that fails is asked again later; after the end nothing is sent to the old one', async () => {
  const { clock, calls, host } = endpoints((call) => (call === 1 ? at('cell1') : new Error(`failed ${call}`)))
  await host()
  await clock.advance(8 * MINUTE)
  expect(await host()).toBe('cell1')
  await clock.advance(10_000)
  expect(await host()).toBe('cell1')
  expect(calls()).toBe(2)
  await clock.advance(30_000)
  expect(await host()).toBe('cell1')
  await clock.advance(2 * MINUTE)
  await expect(host()).rejects.toThrow('failed 4')
})

test('a refused endpoint is forgotten once, whatever the number of answers', async () => {
  const { endpoints: made, calls, host } = endpoints()
  await host()
  const refused = made.generation
  expect([made.rediscover(refused), made.rediscover(refused)]).toEqual([true, true])
  expect(await host()).toBe('cell2')
  expect(calls()).toBe(2)
})

test('an answer from before a refusal is not kept', async () => {
  const { endpoints: made, host } = endpoints()
  const early = host()
  made.rediscover(made.generation)
  expect(await early).toBe('cell1')
  expect(await host()).toBe('cell2')
})

test('after three refused endpoints in a row there is no more; one that answers begins anew', async () => {
  const { endpoints: made, host } = endpoints()
  const refuse = (): boolean => made.rediscover(made.generation)
  expect([refuse(), refuse(), refuse()]).toEqual([true, true, true])
  await host()
  made.accepted()
  expect([refuse(), refuse(), refuse(), refuse()]).toEqual([true, true, true, false])
})
