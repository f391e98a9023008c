import { readFileSync } from 'node:fs'
import { clocked } from '../measure.ts'
import { forgetReceived } from './received.ts'
import type { Task } from './task.ts'
import { senderOf } from './variants.ts'

const WARM_UP_CPU_MICROS = 500_000

// A round in a process of its own: its result is the only line.
const { variant, file, ...options } = JSON.parse(process.argv[2] ?? '') as Task
const [before = '', under = ''] = readFileSync(file, 'utf8').split('\n')
const sender = senderOf(variant, options)

// Code is compiled while it runs: the process is to be one that has run for a while.
const start = process.cpuUsage()
let isWarm = false
while (!isWarm) {
  await sender.prepare(JSON.parse(before) as readonly never[])()
  const { user, system } = process.cpuUsage(start)
  isWarm = user + system > WARM_UP_CPU_MICROS
}
await forgetReceived(options.url)
const work = sender.prepare(JSON.parse(under) as readonly never[])
const round = await clocked(async () => {
  await work()
  return ''
})
await sender.close()
process.stdout.write(JSON.stringify(round))
