import { RemoteWriteClient, PrometheusSink, pushRegistry } from '@sluice/prometheus'
import { noRestart, MetricRegistry, openSink } from '@sluice/core'
import { Registry, Histogram } from 'prom-client'
import { rx, decode } from '/tmp/rev-prom-user/packages/prometheus/scratch/rx.mjs'
process.on('unhandledRejection', (e)=>console.log('UNHANDLED', e.message))
const t=Date.now()
for (const stale of [true,false]) { const r=await rx(()=>'silent'); const c=new RemoteWriteClient({prometheusRemoteWriteUrl:r.url, staleMarkersOnClose:stale, closeDeadlineMs:500}); c.write({name:'m',labels:{},value:1,timestamp:t}); const s=performance.now(); try{ await c.close(); console.log('closed?') }catch(e){ console.log('stale',stale,e.code,e.message, Math.round(performance.now()-s)) } 
  try { await c.write({name:'m',labels:{},value:1,timestamp:t}) } catch(e){ console.log(' write after', e.code) } ; r.close() }
{ // per-tenant negotiation
  const r=await rx((q)=>{ const v2=q.headers['content-type'].includes('v2'); const te=q.headers['x-scope-orgid']; if (te==='new') return v2?{status:204,headers:{'X-Prometheus-Remote-Write-Samples-Written':String(decode(q.body,'2.0').timeSeries.length)}}:{status:415}; if (te==='old') return v2?{status:415}:{status:204}; return v2?{status:400}:{status:204} })
  const sink=new PrometheusSink({prometheusRemoteWriteUrl:r.url, protocol:'auto', tenant:(v)=>v.t, elementConverter:(v)=>({name:v.n??'m',labels:{k:String(v.i)},value:v.i,timestamp:t+v.i,metadata:{type:'gauge',help:'x'}})})
  const o=openSink(sink); for(let i=0;i<30;i++) o.write({t:['new','old',''][i%3],i}); await o.flush(); for(let i=30;i<60;i++) o.write({t:['new','old',''][i%3],i, n: i>=57?'naïve.name':'m'}); await o.close()
  console.log(JSON.stringify(o.status().sinks.prometheus)); console.log(r.got.map(q=>`${q.headers['x-scope-orgid']??'-'}:${q.headers['x-prometheus-remote-write-version']}:${q.headers['content-type'].includes('v2')?'2':'1'}`).join(' ')); console.log(JSON.stringify(sink.explain({t:'new',i:1})))
  r.close() }
{ // exemplar of a collection that failed
  let cmd={status:401}; const r=await rx(()=>cmd); const reg=new Registry(Registry.OPENMETRICS_CONTENT_TYPE); const h=new Histogram({name:'lat',help:'L',registers:[reg],enableExemplars:true,buckets:[1]}); h.observe({value:0.5,exemplarLabels:{trace_id:'t1'}})
  const push=pushRegistry(reg,{remoteWrite:{prometheusRemoteWriteUrl:r.url},intervalMs:60000}); await new Promise(s=>setTimeout(s,300)); console.log(push.status().failed); cmd={status:204}; r.got.length=0; await push.close()
  console.log('exemplars in the confirmed collection:', r.got.flatMap((_,i)=>r.series(i)).reduce((s,x)=>s+x.exemplars.length,0)); r.close() }
