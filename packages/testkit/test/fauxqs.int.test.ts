import { spawnSync } from 'node:child_process'

import { expect, test } from 'vitest'

import { requireOrSkip, startFauxqs } from '../src/index.ts'
import { isRunning } from './processes.ts'

const noSs = spawnSync('ss', ['-V']).error !== undefined

test('stores and gives back an object, and answers for queues', async () => {
  await using fauxqs = await startFauxqs()
  await fauxqs.createBucket('state')
  const url = `${fauxqs.endpoint}/state/a/b.txt`
  expect((await fetch(url, { method: 'PUT', body: 'hello' })).status).toBe(200)
  expect(await (await fetch(url)).text()).toBe('hello')
  const queues = await fetch(fauxqs.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.ListQueues' },
    body: '{}',
  })
  expect(queues.status).toBe(200)
})

test('a bucket that the server refuses is an error', async () => {
  await using fauxqs = await startFauxqs()
  await expect(fauxqs.createBucket('')).rejects.toThrow(/did not create the bucket/)
})

test.skipIf(requireOrSkip('ss', !noSs, 'the command ss is not there'))('listens on 127.0.0.1 alone', async () => {
  await using fauxqs = await startFauxqs()
  const listening = spawnSync('ss', ['-Hltnp'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes(`pid=${fauxqs.pid},`))
    .map((line) => line.split(/\s+/)[3] ?? '')
  expect(listening).toEqual([`127.0.0.1:${fauxqs.port}`])
})

test('a taken port is one clear error', async () => {
  await using fauxqs = await startFauxqs()
  await expect(startFauxqs({ port: fauxqs.port })).rejects.toThrow(
    `fauxqs cannot listen on 127.0.0.1:${fauxqs.port}: EADDRINUSE`,
  )
})

test('a server that is late is an error that says what was awaited', async () => {
  await expect(startFauxqs({ readyDeadlineMs: 1 })).rejects.toThrow(/waited 1 ms for fauxqs to listen/)
})

test('close ends the process and may be repeated', async () => {
  const fauxqs = await startFauxqs()
  expect(isRunning(fauxqs.pid)).toBe(true)
  await fauxqs.close()
  await fauxqs.close()
  expect(isRunning(fauxqs.pid)).toBe(false)
})
