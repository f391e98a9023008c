// close() with a deadline: does anything go on after it has resolved?
import { Registry, Counter } from 'prom-client'
import { pushRegistry } from '@sluice/prometheus'
import { rx, console_logger } from '/tmp/rev-prom-user/packages/prometheus/scratch/rx.mjs'
let status = 503
const r = await rx(() => ({status}))
const reg = new Registry(); new Counter({name:'jobs_total', help:'o', registers:[reg]}).inc(3)
const push = pushRegistry(reg, { remoteWrite:{prometheusRemoteWriteUrl:r.url, retryConfiguration:{maxRetryDelayMS:100}}, closeDeadlineMs: 500, staleMarkersOnClose: process.argv[2]==='stale' })
await push.close()
const n = r.got.length; console.log('closed', n, push.status())
await new Promise(s=>setTimeout(s,2000)); 
console.log('after 2 s more', r.got.length - n, push.status())
status = 204
await new Promise(s=>setTimeout(s,1000)); 
console.log('after 1 s more', r.got.length - n, push.status())
r.close()
