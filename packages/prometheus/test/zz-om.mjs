import { Registry, Counter, Histogram } from 'prom-client'
import { pushRegistry } from '@sluice/prometheus'
import { rx } from '/tmp/rev-prom-user/packages/prometheus/scratch/rx.mjs'
const r = await rx()
const reg = new Registry(Registry.OPENMETRICS_CONTENT_TYPE)
const c = new Counter({name:'orders_total', help:'o', labelNames:['a'], registers:[reg], enableExemplars:true})
const d = new Counter({name:'plain', help:'o', registers:[reg]})
d.inc()
c.inc({labels:{a:'1'}, value:2, exemplarLabels:{trace_id:'x'}})
const push = pushRegistry(reg, { remoteWrite:{prometheusRemoteWriteUrl:r.url}, intervalMs: 60000 })
await new Promise(s=>setTimeout(s,300))
console.log((await reg.metrics()))
c.inc({labels:{a:'1'}, value:1})
await push.close()
for (let i=0;i<r.got.length;i++) console.log(i, JSON.stringify(r.series(i), (k,v)=>typeof v==='bigint'?String(v):v))
console.log(push.status())
r.close()
