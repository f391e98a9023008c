// A job as the main program of a process: the process of the exit code tests.
import { fromIterable, runToExit, stream, toFunction } from '../../src/index.ts'

const [mode = 'finish'] = process.argv.slice(2)

function* endless(): Generator<number> {
  for (let n = 0; ; n++) yield n
}

let calls = 0
const sink = toFunction<number>(async () => {
  if (calls++ === 0) process.send?.('running')
  if (mode === 'stuck') await new Promise(() => {})
})
const values = ['finish', 'linger', 'fail'].includes(mode) ? [1, 2, 3] : endless()
// What an application forgets to close.
if (mode === 'linger') setInterval(() => {}, 1000)
const job = stream(fromIterable(values))
  .map((value) => {
    if (mode === 'fail') throw new RangeError('not a value')
    return value
  })
  .sinkTo(sink)
  .start({ name: 'exit', restartGraceMs: mode === 'stuck' ? 60_000 : 100 })
await runToExit(job)
process.channel?.unref()
