import { pushRegistry } from '@sluice/prometheus'
import { Registry, Gauge } from 'prom-client'
import { rx, decode, console_logger } from '/tmp/rev-prom-user/packages/prometheus/scratch/rx.mjs'
let mode='400bad'
const r=await rx((q)=>{ const n=decode(q.body).timeSeries.flatMap(s=>s.labels.map(l=>l.value)); if(mode==='400bad') return {status:n.includes('bad')?400:204}; return {status:mode} })
const reg=new Registry(); new Gauge({name:'bad',help:'x',registers:[reg]}).set(1); new Gauge({name:'good',help:'x',registers:[reg]}).set(1)
const push=pushRegistry(reg,{remoteWrite:{prometheusRemoteWriteUrl:r.url,retryConfiguration:{maxRetryCount:2,initialRetryDelayMS:50}},intervalMs:2000})
const p=(n)=>{const {written,failed,lastError}=push.status(); console.log(n,{written,failed,lastError})}
await new Promise(s=>setTimeout(s,1000)); p('1, a series is refused:'); mode=204
await new Promise(s=>setTimeout(s,2000)); p('2, all is taken:'); mode=503
await new Promise(s=>setTimeout(s,1800)); p('3, outage:'); r.got.length=0; mode=204
for(let i=0;i<100&&push.status().written+push.status().failed<3;i++) await new Promise(s=>setTimeout(s,50))
p('3, outage over:'); for (let i=0;i<r.got.length;i++) console.log('  answered 204:', r.series(i).map(s=>s.labels[0].value+'@'+s.samples[0].timestamp%100000).join(' '))
await push.close(); r.close()
