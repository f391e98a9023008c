import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'

interface Started {
  readonly child: ChildProcess
  readonly exit: Promise<unknown[]>
  readonly stderr: () => string
}

function started(mode: string): Started {
  const child = fork(new URL('exit-child.ts', import.meta.url), [mode], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return { child, exit: once(child, 'close'), stderr: () => text }
}

test('a job that finishes ends its process with 0, and says nothing', async () => {
  const { exit, stderr } = started('finish')
  expect(await exit).toEqual([0, null])
  expect(stderr()).toBe('')
})

test('a job that fails ends it with 1, and says why', async () => {
  const { exit, stderr } = started('fail')
  expect(await exit).toEqual([1, null])
  expect(stderr()).toMatch(/^job 'exit' failed: SLUICE_RECORD_REFUSED: /)
})

test('SIGTERM drains: 0', async () => {
  const { child, exit } = started('drain')
  await once(child, 'message')
  child.kill('SIGTERM')
  expect(await exit).toEqual([0, null])
})

test('a third signal ends a process at once that can neither drain nor close', async () => {
  const { child, exit } = started('stuck')
  await once(child, 'message')
  // Again and again: two signals of a kind that are pending at once are one.
  const signals = setInterval(() => child.kill('SIGTERM'), 20)
  onTestFinished(() => clearInterval(signals))
  expect(await exit).toEqual([143, null])
})

test('a process that something keeps alive is ended, and told what it was', async () => {
  const { exit, stderr } = started('linger')
  expect(await exit).toEqual([0, null])
  expect(stderr()).toMatch(/the job has ended, but the process has not: .*Timeout.* kept it alive/)
})
