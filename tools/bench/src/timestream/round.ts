import { readFileSync } from 'node:fs'
import { clocked, type Round } from '../measure.ts'
import { Decoder } from './decoder.ts'
import { forgetReceived } from './received.ts'
import type { Task } from './task.ts'
import { senderOf } from './variants.ts'

/** A sender runs for days: code is compiled, and as fast as it becomes. */
const WARM_UP_CPU_SECONDS = 2

// A round in a process of its own: its result is the only line.
const { variant, file, ...options } = JSON.parse(process.argv[2] ?? '') as Task
const batches = readFileSync(file, 'utf8')
  .split('\n')
  .map((line) => Buffer.from(line))
const decoder = new Decoder()
const sender = senderOf(variant, options, decoder.decode)

async function send(): Promise<Round> {
  const work = sender.prepare(batches)
  await forgetReceived(options.url)
  decoder.takeCpuSeconds()
  const { cpuSeconds, ...round } = await clocked(async () => {
    await work()
    return ''
  })
  return { ...round, cpuSeconds: cpuSeconds - decoder.takeCpuSeconds() }
}

for (let spent = 0; spent < WARM_UP_CPU_SECONDS;) spent += (await send()).cpuSeconds
const round = await send()
await sender.close()
process.stdout.write(JSON.stringify(round))
