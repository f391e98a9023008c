import { VirtualClock } from '@sluice/core/testing'
import { expect, test } from 'vitest'
import { HeldCredentials } from '../../src/json/credentials.ts'
import type { SdkIdentity } from '../../src/json/sdk-client.ts'

const MINUTE = 60_000

/** A provider that gives keys with rising numbers; `lastingMs` undefined: without an end. */
class Provider {
  readonly clock = new VirtualClock()
  readonly asked: ({ readonly forceRefresh?: boolean } | undefined)[] = []
  lastingMs: number | undefined
  failure: Error | undefined
  readonly held: HeldCredentials = new HeldCredentials(this, () => this.clock.wallNow())

  constructor(lastingMs?: number) {
    this.lastingMs = lastingMs
  }

  credentials(options?: { readonly forceRefresh?: boolean }): Promise<SdkIdentity> {
    this.asked.push(options)
    if (this.failure !== undefined) return Promise.reject(this.failure)
    const expiration = this.lastingMs === undefined ? undefined : new Date(this.clock.wallNow() + this.lastingMs)
    return Promise.resolve({ accessKeyId: `AKID${this.asked.length}`, secretAccessKey: 's', expiration })
  }

  async key(): Promise<string> {
    return (await this.held.get()).accessKeyId
  }
}

test('requests that ask at one time share a fetch, later ones get the keys at once', async () => {
  const provider = new Provider(60 * MINUTE)
  expect(await Promise.all([provider.key(), provider.key()])).toEqual(['AKID1', 'AKID1'])
  expect(provider.held.get()).not.toBeInstanceOf(Promise)
  expect(provider.asked).toEqual([undefined])
})

test('keys without an end are held', async () => {
  const provider = new Provider()
  await provider.key()
  await provider.clock.advance(1000 * 60 * MINUTE)
  expect(await provider.key()).toBe('AKID1')
})

test('five minutes before their end keys are renewed, while the old ones still sign', async () => {
  const provider = new Provider(60 * MINUTE)
  await provider.key()
  await provider.clock.advance(55 * MINUTE - 1)
  expect(await provider.key()).toBe('AKID1')
  expect(provider.asked).toHaveLength(1)
  await provider.clock.advance(1)
  expect(await provider.key()).toBe('AKID1')
  expect(provider.asked).toHaveLength(2)
  expect(await provider.key()).toBe('AKID2')
})

test('while a renewal fails, keys sign until their end, and the provider is asked twice a minute', async () => {
  const provider = new Provider(60 * MINUTE)
  await provider.key()
  provider.failure = new Error('no answer')
  await provider.clock.advance(55 * MINUTE)
  for (let i = 0; i < 3; i++) expect(await provider.key()).toBe('AKID1')
  expect(provider.asked).toHaveLength(2)
  await provider.clock.advance(MINUTE / 2)
  expect(await provider.key()).toBe('AKID1')
  expect(provider.asked).toHaveLength(3)
  await provider.clock.advance(5 * MINUTE)
  await expect(provider.key()).rejects.toThrow('no answer')
  provider.failure = undefined
  expect(await provider.key()).toBe('AKID5')
})

test('keys that end soon are not asked for again at every request', async () => {
  const provider = new Provider(MINUTE)
  for (let i = 0; i < 5; i++) expect(await provider.key()).toBe('AKID1')
  expect(provider.asked).toHaveLength(1)
})

test('after the service has refused them, others are fetched past the memory of the provider', async () => {
  const provider = new Provider()
  const refused = await provider.held.get()
  provider.held.refused(refused)
  expect(await provider.key()).toBe('AKID2')
  // A late refusal of the old ones says nothing of the new.
  provider.held.refused(refused)
  expect(await provider.key()).toBe('AKID2')
  expect(provider.asked).toEqual([undefined, { forceRefresh: true }])
})

test('a fetch that fails is repeated by the next request', async () => {
  const provider = new Provider()
  provider.failure = new Error('no answer')
  await expect(provider.key()).rejects.toThrow('no answer')
  provider.failure = undefined
  expect(await provider.key()).toBe('AKID2')
})

test('a provider that does not answer is asked again after a minute', async () => {
  let asked = 0
  const clock = new VirtualClock()
  const credentials = (): Promise<SdkIdentity> =>
    ++asked === 1 ? new Promise(() => undefined) : Promise.resolve({ accessKeyId: 'AKID2', secretAccessKey: 's' })
  const held = new HeldCredentials({ credentials }, () => clock.wallNow())
  const first = held.get()
  await clock.advance(MINUTE - 1)
  expect(held.get()).toBe(first)
  await clock.advance(1)
  expect(await held.get()).toMatchObject({ accessKeyId: 'AKID2' })
  expect(held.get()).not.toBeInstanceOf(Promise)
  expect(asked).toBe(2)
})

test.each([
  [undefined, 'accessKeyId'],
  [{ accessKeyId: 'AKID', secretAccessKey: '' }, 'secretAccessKey'],
  [{ accessKeyId: 'AKID', secretAccessKey: 'hidden-words here' }, 'secretAccessKey'],
  [{ accessKeyId: 'AKID\r\nx: y', secretAccessKey: 's' }, 'accessKeyId'],
  [{ accessKeyId: 'AKID', secretAccessKey: 's', sessionToken: 'hidden-\n' }, 'sessionToken'],
])('what could not be a header is refused, without showing it: %#', async (given, name) => {
  const held = new HeldCredentials({ credentials: () => Promise.resolve(given as SdkIdentity) }, () => 0)
  const error: unknown = await Promise.resolve(held.get()).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'SLUICE_ACCESS_DENIED', restartable: true })
  expect(String(error)).toContain(name)
  expect(String(error)).not.toContain('hidden')
})
