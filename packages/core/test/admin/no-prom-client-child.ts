// A process in which the optional package is not installed.
import { registerHooks } from 'node:module'
import { fromIterable, stream, toFunction } from '../../src/index.ts'

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'prom-client') throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' })
    return next(specifier, context)
  },
})

let release = (): void => {}
const sink = toFunction<number>(
  () =>
    new Promise((resolve) => {
      release = resolve
    }),
)
const job = stream(fromIterable([1]))
  .sinkTo(sink)
  .start({ name: 'bare', admin: { port: 0 } })
while (job.adminUrl === undefined) await new Promise((resolve) => void setImmediate(resolve))
const answers: unknown[] = []
for (const path of ['/metrics', '/healthz']) {
  const response = await fetch(job.adminUrl + path)
  answers.push({ status: response.status, body: await response.text() })
}
process.send?.(answers)
process.disconnect()
release()
await job.close()
