import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { RemoteWriteMetricExporter } from '@sluice/prometheus/opentelemetry'
import { rx } from '/tmp/rev-prom-user/packages/prometheus/scratch/rx.mjs'
const r=await rx()
const exporter = new RemoteWriteMetricExporter({ remoteWrite:{prometheusRemoteWriteUrl:r.url} })
const orig=exporter.export.bind(exporter); exporter.export=(m,cb)=>{ console.log('SDK exports', m.scopeMetrics.flatMap(s=>s.metrics).flatMap(x=>x.dataPoints.map(d=>x.descriptor.name+JSON.stringify(d.attributes)+'='+d.value)).join(' ')); orig(m,cb) }
const mp = new MeterProvider({ readers:[new PeriodicExportingMetricReader({exporter})] })
let obs=[['a',1],['b',2]]; const m=mp.getMeter('x')
m.createObservableGauge('temp').addCallback(r=>{for(const [k,v] of obs) r.observe(v,{room:k})})
m.createObservableCounter('cnt').addCallback(r=>{for(const [k,v] of obs) r.observe(v,{room:k})})
for (const o of [[['a',1],['b',2]],[['a',3]],[['a',4]],[['a',5]]]) { obs=o; await mp.forceFlush(); await new Promise(s=>setTimeout(s,20)) }
for (let i=0;i<r.got.length;i++) for (const x of r.series(i)) console.log(i, x.labels.map(l=>l.value).join('/'), x.samples[0].stale?'STALE':x.samples[0].value)
await mp.shutdown(); r.close()
