// A job that runs until signals end it: the process of the signal tests.
import { setTimeout as later } from 'node:timers/promises'
import { drainOnSignals, fromIterable, stream, toFunction } from '../../src/index.ts'

const [mode = 'quick'] = process.argv.slice(2)

function* endless(): Generator<number> {
  for (let n = 0; ; n++) yield n
}

let calls = 0
const sink = toFunction<number>(async () => {
  if (calls++ === 0) process.send?.('running')
  if (mode === 'stuck') await new Promise(() => {})
  if (mode === 'slow') await later(50)
})

const job = stream(fromIterable(endless())).sinkTo(sink).start({ name: 'signals', restartGraceMs: 100 })
drainOnSignals(job)
// Nothing else must keep the process alive, nor end it.
process.channel?.unref()
if (mode === 'stuck') setInterval(() => {}, 1000).unref()
const end = await job.done
process.send?.({ end, listeners: process.listenerCount('SIGTERM') + process.listenerCount('SIGINT') })
process.exitCode = end.unsettled === 0 ? 0 : 3
