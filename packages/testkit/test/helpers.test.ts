import { access, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { afterEach, expect, test, vi } from 'vitest'

import { cacheFolder, freePort, requireOrSkip, temporaryFolder, waitFor } from '../src/index.ts'
import { startTarget } from './target.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

test('waitFor resolves with the first truthy value, over failures', async () => {
  let looks = 0
  const value = await waitFor(
    () => {
      looks += 1
      if (looks === 1) throw new Error('not there')
      return looks === 3 && 'there'
    },
    { what: 'it', intervalMs: 1 },
  )
  expect([value, looks]).toEqual(['there', 3])
})

test('waitFor says what it waited for and what it saw last', async () => {
  const options = { what: 'three rows', deadlineMs: 20, intervalMs: 5 }
  await expect(waitFor(() => 0, options)).rejects.toThrow('waited 20 ms for three rows; last seen: 0')
  await expect(
    waitFor(() => {
      throw new Error('refused')
    }, options),
  ).rejects.toThrow('waited 20 ms for three rows; last seen: Error: refused')
  await expect(waitFor(() => new Promise<never>(() => {}), options)).rejects.toThrow(/last seen: nothing/)
})

test('requireOrSkip skips with one line, and fails where the name is required', () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  vi.stubEnv('SLUICE_REQUIRE', 'kafka')
  expect(requireOrSkip('java', true, 'not on the PATH')).toBe(false)
  expect(write).not.toHaveBeenCalled()
  expect(requireOrSkip('java', false, 'not on the PATH')).toBe(true)
  expect(write.mock.calls).toEqual([[expect.stringMatching(/^SKIPPED, needs java: not on the PATH .*\n$/)]])
  vi.stubEnv('SLUICE_REQUIRE', 'kafka, java')
  expect(() => requireOrSkip('java', false, 'not on the PATH')).toThrow('java, and it is missing: not on the PATH')
})

test('a temporary folder goes with what is in it', async () => {
  let file: string
  {
    await using folder = await temporaryFolder()
    file = join(folder.path, 'state')
    await writeFile(file, 'x')
    await access(file)
  }
  await expect(access(file)).rejects.toThrow('ENOENT')
})

test('the cache folder follows SLUICE_CACHE', () => {
  vi.stubEnv('SLUICE_CACHE', '/var/cache/sluice')
  expect(cacheFolder()).toBe('/var/cache/sluice')
  vi.stubEnv('SLUICE_CACHE', '')
  expect(cacheFolder()).toBe(join(homedir(), '.cache', 'sluice'))
})

test('a free port is not one that is in use', async () => {
  await using target = await startTarget()
  const port = await freePort()
  expect(port).toBeGreaterThan(0)
  expect(port).not.toBe(target.port)
})
