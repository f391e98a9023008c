import { startPrometheus } from '@sluice/testkit'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { RemoteWriteMetricExporter } from '@sluice/prometheus/opentelemetry'
import { RemoteWriteClient, pushRegistry } from '@sluice/prometheus'
import { Registry, Counter } from 'prom-client'
const real=Date.now; let off=0; Date.now=()=>real()+off
await using p = await startPrometheus()
const exporter = new RemoteWriteMetricExporter({ remoteWrite:{prometheusRemoteWriteUrl:p.remoteWriteUrl} })
const mp = new MeterProvider({ readers:[new PeriodicExportingMetricReader({exporter})] }); const c=mp.getMeter('x').createCounter('otel'); 
const reg=new Registry(); const d=new Counter({name:'prom_total',help:'x',registers:[reg]}); d.inc(1)
const push=pushRegistry(reg,{remoteWrite:{prometheusRemoteWriteUrl:p.remoteWriteUrl},intervalMs:100})
c.add(1); await mp.forceFlush(); await new Promise(s=>setTimeout(s,150))
off=-5000 // NTP steps the clock back by 5 s
for (let i=0;i<3;i++){ c.add(1); d.inc(1); await mp.forceFlush().catch(e=>console.log('flush', e.message)); await new Promise(s=>setTimeout(s,200)) }
console.log('otel', exporter.status(), 'push', push.status())
await push.close(); await mp.shutdown().catch(()=>{})
for (const n of ['otel_total','prom_total']) for (const x of await p.exactSamples({__name__:n})) console.log(n, x.samples.map(y=>y.value).join(' '))
