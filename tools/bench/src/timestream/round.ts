import { clocked } from '../measure.ts'
import { forgetReceived } from './received.ts'
import { encodeRows } from './shapes.ts'
import type { Task } from './task.ts'
import { senderOf } from './variants.ts'

// A round in a process of its own: its result is the only line.
const { variant, first, rows, ...options } = JSON.parse(process.argv[2] ?? '') as Task
const sender = senderOf(variant, options)
const decoded = (from: number): readonly never[] =>
  JSON.parse(encodeRows(options.measures, from, rows, 'mixed')) as readonly never[]

await sender.prepare(decoded(first))()
await forgetReceived(options.url)
const work = sender.prepare(decoded(first + rows))
const round = await clocked(async () => {
  await work()
  return ''
})
await sender.close()
process.stdout.write(JSON.stringify(round))
