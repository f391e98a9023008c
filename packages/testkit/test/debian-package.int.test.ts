import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, expect, test, vi } from 'vitest'

import { debianPackage, debianPackageOrSkip, requireOrSkip, spawnNode, temporaryFolder } from '../src/index.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

// A small package of a few kilobytes, with a program.
const PACKAGE = 'hello'
const known =
  spawnSync('/usr/bin/apt-cache', ['show', PACKAGE], { encoding: 'utf8' }).stdout?.includes('Filename') ?? false
const installed = spawnSync(PACKAGE).error === undefined
const noApt = requireOrSkip(
  'apt',
  known && !installed,
  `apt does not know the Debian package ${PACKAGE}, or it is installed`,
)

const lookUp = new URL('./fixtures/look-up-package.ts', import.meta.url)

test.skipIf(noApt)('processes that fetch a package at once each find a program that runs', async () => {
  await using cache = await temporaryFolder()
  const env = { PATH: '/usr/bin:/bin', SLUICE_CACHE: cache.path }
  await using first = await spawnNode(lookUp, [PACKAGE], { env })
  await using second = await spawnNode(lookUp, [PACKAGE], { env })
  const found = await Promise.all([first.line(/path|missing/, 60_000), second.line(/path|missing/, 60_000)])
  const [program] = await programs(cache.path)
  expect(found).toEqual(Array(2).fill(JSON.stringify({ path: program, from: 'cache' })))
  expect(spawnSync(program ?? '', { encoding: 'utf8' }).stdout).toMatch(/Hello, world/)

  // From now on neither apt nor the network is asked.
  vi.stubEnv('SLUICE_CACHE', cache.path)
  vi.stubEnv('PATH', '/nowhere')
  expect(await debianPackage(PACKAGE)).toEqual({ path: program, from: 'cache' })
  expect(await debianPackage(PACKAGE, 'no-such')).toEqual({
    missing: expect.stringContaining('neither apt-get nor dpkg'),
  })
})

/** What the cache has, the folders of unfinished downloads too. */
async function programs(cache: string): Promise<string[]> {
  const [release = ''] = await readdir(join(cache, 'debian'))
  const names = await readdir(join(cache, 'debian', release))
  return names.map((name) => join(cache, 'debian', release, name, 'usr/bin', name))
}

test('a program on the PATH is taken', async () => {
  await using folder = await temporaryFolder()
  const program = join(folder.path, 'prometheus')
  await writeFile(program, '#!/bin/sh\n')
  vi.stubEnv('PATH', `relative::${folder.path}`)
  vi.stubEnv('SLUICE_CACHE', folder.path)
  expect(await debianPackage('prometheus')).toMatchObject({ missing: expect.stringContaining('not on the PATH') })
  await chmod(program, 0o755)
  vi.stubEnv('PATH', `${folder.path}:relative`)
  expect(await debianPackage('prometheus')).toEqual({ path: program, from: 'PATH' })
})

test('what cannot be had says why, skips, and fails where it is required', async () => {
  await using folder = await temporaryFolder()
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  vi.stubEnv('PATH', folder.path)
  vi.stubEnv('SLUICE_CACHE', folder.path)
  vi.stubEnv('SLUICE_REQUIRE', '')
  const why =
    'prometheus is not on the PATH, and neither apt-get nor dpkg is there to fetch the Debian package prometheus'
  expect(await debianPackage('prometheus')).toEqual({ missing: why })
  expect(await debianPackageOrSkip('prometheus', 'prometheus')).toBe(true)
  expect(write.mock.calls).toEqual([[expect.stringContaining(`SKIPPED, needs prometheus: ${why}`)]])
  vi.stubEnv('SLUICE_REQUIRE', 'prometheus,victoriametrics')
  await expect(debianPackageOrSkip('prometheus', 'prometheus')).rejects.toThrow(why)
})

test('a failure of apt is the reason, and leaves nothing behind', async () => {
  await using folder = await temporaryFolder()
  const bin = join(folder.path, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'apt-get'), '#!/bin/sh\necho half > half.deb.partial\necho "E: no route" >&2\nexit 100\n', {
    mode: 0o755,
  })
  await symlink('/bin/true', join(bin, 'dpkg'))
  vi.stubEnv('PATH', bin)
  vi.stubEnv('SLUICE_CACHE', folder.path)
  expect(await debianPackage('prometheus')).toEqual({
    missing: 'prometheus is not on the PATH, and the Debian package prometheus cannot be had: E: no route',
  })
  const [release = ''] = await readdir(join(folder.path, 'debian'))
  expect(await readdir(join(folder.path, 'debian', release))).toEqual([])
})

test('a name that could be an option or a path is refused', () => {
  for (const name of ['-o', '../x', 'a b', '']) expect(() => debianPackage(name)).toThrow(RangeError)
})
