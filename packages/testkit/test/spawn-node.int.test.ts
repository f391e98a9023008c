import { expect, test } from 'vitest'

import { spawnNode, waitFor } from '../src/index.ts'
import { isRunning } from './processes.ts'

const idle = new URL('./fixtures/idle.ts', import.meta.url)
const parentOfServers = new URL('./fixtures/parent.ts', import.meta.url)
const pong = new URL('./fixtures/pong.ts', import.meta.url)

test('children end when their parent is killed', async () => {
  await using parent = await spawnNode(parentOfServers)
  const pids = (await parent.line(/^pids/, 15_000)).split(' ').slice(1).map(Number)
  expect(pids.map(isRunning)).toEqual([true, true])
  parent.kill('SIGKILL')
  expect(await parent.exit).toEqual({ code: null, signal: 'SIGKILL' })
  await waitFor(() => !pids.some(isRunning), { what: `processes ${pids.join(', ')} to end`, deadlineMs: 5_000 })
})

test('gives lines of both streams, seen or still to come, and the exit', async () => {
  await using child = await spawnNode(idle, ['--stubborn'])
  expect(await child.line('idle')).toBe('idle')
  expect(await child.line(/^idle$/)).toBe('idle')
  child.kill()
  expect(await child.line('not yet')).toBe('not yet')
  expect(child.stdout).toEqual(['idle'])
  expect(child.stderr).toEqual(['not yet'])
  expect(await child.stop(50)).toEqual({ code: null, signal: 'SIGKILL' })
  expect(child.kill()).toBe(false)
})

test('a line that does not come is an error with the last output', async () => {
  await using child = await spawnNode(idle)
  await child.line('idle')
  await expect(child.line('ready', 20)).rejects.toThrow(/idle\.ts printed no line like ready within 20 ms; .*\nidle/)
  const line = child.line('ready')
  child.kill()
  await expect(line).rejects.toThrow(/ended \(SIGTERM\) without a line like ready/)
})

test('a child with nothing to do ends by itself', async () => {
  await using child = await spawnNode(pong, [], { env: { PATH: process.env['PATH'] } })
  expect(await child.exit).toEqual({ code: 0, signal: null })
})

test('a child may fork children of its own', async () => {
  await using child = await spawnNode(idle, ['--fork'])
  expect(await child.line('forked')).toBe('forked says "pong"')
})

test('a child that cannot be started is an error', async () => {
  await expect(spawnNode(idle, [], { cwd: '/does/not/exist' })).rejects.toThrow(/cannot start .*idle\.ts: .*ENOENT/)
})
