import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'

/** Starts the job and waits until its sink was called. */
async function running(mode: 'quick' | 'slow' | 'stuck'): Promise<ChildProcess> {
  const child = fork(new URL('signals-child.ts', import.meta.url), [mode], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  expect((await once(child, 'message'))[0]).toBe('running')
  return child
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s drains: the process ends with 0, and nothing is left', async (signal) => {
  const child = await running('slow')
  const message = once(child, 'message')
  const exit = once(child, 'exit')
  child.kill(signal)
  expect((await message)[0]).toEqual({ end: { how: 'drained', unsettled: 0, unsettledBySplit: {} }, listeners: 0 })
  expect(await exit).toEqual([0, null])
})

test('a signal reaches a job whose source and sink never wait for anything', async () => {
  const child = await running('quick')
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await exit).toEqual([0, null])
})

test('a second signal closes, and the exit code says that records are left', async () => {
  const child = await running('stuck')
  const message = once(child, 'message')
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  child.kill('SIGINT')
  const [said] = (await message) as [{ end: { how: string; unsettled: number } }]
  expect(said.end.how).toBe('closed')
  expect(said.end.unsettled).toBeGreaterThan(0)
  expect(await exit).toEqual([3, null])
})
