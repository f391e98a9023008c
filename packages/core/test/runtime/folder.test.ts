import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeFolder } from '../../src/runtime/folder.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-folder-'))
})

afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

test('makes all levels that are missing, and tells the uppermost', async () => {
  expect(await makeFolder(join(root, 'a', 'b', 'c'), 0o700)).toBe(join(root, 'a'))
  for (const path of ['a', 'a/b', 'a/b/c']) expect((await stat(join(root, path))).mode & 0o777).toBe(0o700)
  expect(await makeFolder(join(root, 'a', 'b', 'd', 'e'))).toBe(join(root, 'a', 'b', 'd'))
})

test('says nothing of a folder that is there', async () => {
  expect(await makeFolder(root)).toBeUndefined()
  expect(await makeFolder('/')).toBeUndefined()
})

test('may be asked for the same folder many times at once', async () => {
  const path = join(root, 'a', 'b', 'c')
  await Promise.all(Array.from({ length: 20 }, async () => await makeFolder(path)))
  expect((await stat(path)).isDirectory()).toBe(true)
})

test('fails where a file is in the way', async () => {
  await writeFile(join(root, 'file'), '')
  await expect(makeFolder(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
  await expect(makeFolder(join(root, 'file', 'a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
})

test.runIf(process.platform === 'linux')('fails where nothing can be made, instead of trying for ever', async () => {
  await expect(makeFolder('/proc/sluice/a')).rejects.toMatchObject({ code: 'ENOENT' })
})
