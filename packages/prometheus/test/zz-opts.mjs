import { PrometheusSink, RemoteWriteClient, pushRegistry } from '@sluice/prometheus'
import { Secret } from '@sluice/core'
const u = 'http://localhost:9090/api/v1/write'
const t = (n, o, K=PrometheusSink) => { try { new K(o); console.log(n, 'OK') } catch (e) { console.log(n, e.code, '\n   ', e.message.replaceAll('\n','\n    ')) } }
t('empty', {}); t('null', null); t('undef', undefined, RemoteWriteClient)
t('many', { prometheusRemoteWriteUrl:'ftp://x', maxBatchSizeInSamples:0, maxRecordSizeInSamples:600.5, maxTimeInBufferMS:-1, maxBufferedRequests:'x', maxInFlightRequests:0, orderedLanes:0, retryConfiguration:{initialRetryDelayMS:6000, maxRetryCount:-1, foo:1}, socketTimeoutMs:0, connectTimeoutMs:NaN, requestTimeoutMs:1, protocol:'3.0', validation:'x', errorHandlingBehaviorConfiguration:{onMaxRetryExceeded:'IGNORE', x:1}, errorHandlingBehaviourConfiguration:{}, maxIsolationRequests:0, isolateAfterServerErrors:0, metadataIntervalMs:-1, httpUserAgent:'', headers:{'Content-Type':'x', 'X-A':'\n', authorization:'y', 'X-Scope-OrgID':'a'}, tenant:'é', tenantHeader:'a b', basicAuth:{username:'a:b'}, bearerToken:'a b', requestSigner:1, tls:{ca:'', key:'x', foo:1, rejectUnauthorized:false}, proxyUrl:'socks5://x', dispatcher:{}, metricGroupName:'', nope:1, elementConverter:1, uid:'' })
t('b1', {prometheusRemoteWriteUrl:u, maxBatchSizeInSamples:1})
t('b1000', {prometheusRemoteWriteUrl:u, maxBatchSizeInSamples:1000})
t('b10000', {prometheusRemoteWriteUrl:u, maxBatchSizeInSamples:10000})
t('buf600', {prometheusRemoteWriteUrl:u, maxBufferedRequests:600})
t('buf500', {prometheusRemoteWriteUrl:u, maxBufferedRequests:500})
t('lanes8', {prometheusRemoteWriteUrl:u, orderedLanes:8})
t('lanes8 buf4000', {prometheusRemoteWriteUrl:u, orderedLanes:8, maxBufferedRequests:4000})
t('inflight1', {prometheusRemoteWriteUrl:u, maxInFlightRequests:1})
t('inflight2 lanes4', {prometheusRemoteWriteUrl:u, maxInFlightRequests:2, orderedLanes:4})
t('rec', {prometheusRemoteWriteUrl:u, maxRecordSizeInSamples:501})
t('undefs', {prometheusRemoteWriteUrl:u, maxRecordSizeInSamples:undefined, headers:undefined, retryConfiguration:undefined, errorHandlingBehaviorConfiguration:undefined, requestSigner:undefined, tls: undefined, tenantHeader: undefined, logger:undefined, clock:undefined, restart:undefined}, RemoteWriteClient)
t('nullopts', {prometheusRemoteWriteUrl:u, headers:null, retryConfiguration:null, errorHandlingBehaviorConfiguration:null, tls:null, basicAuth:null, bearerToken:null, proxyUrl:null, tenant:null, requestSigner:null, dispatcher:null, maxRecordSizeInSamples:null})
t('client conv', {prometheusRemoteWriteUrl:u, elementConverter:()=>{}}, RemoteWriteClient)
t('client tenant fn', {prometheusRemoteWriteUrl:u, tenant:()=>'a', staleMarkersOnClose:'yes', closeDeadlineMs:-1, name: 5, maxUnsettled:0, deadLetters: 3, restart: 1, metrics: 2}, RemoteWriteClient)
t('retry inf', {prometheusRemoteWriteUrl:u, retryConfiguration:{maxRetryCount:Infinity, initialRetryDelayMS:30}, isolateAfterServerErrors:Infinity, metadataIntervalMs:Infinity})
t('retry NaN', {prometheusRemoteWriteUrl:u, retryConfiguration:{maxRetryCount:NaN}})
t('headers', {prometheusRemoteWriteUrl:u, headers:{Cookie:'a=b','X-Amz-Security':'a','Proxy-Authorization':'b','Transfer-Encoding':'x','Content-Length':'3','X-Prometheus-Remote-Write-Version':'2','Date':'x', 'Accept-Encoding':'gzip', 'X':new Secret('abc')}})
t('creds', {prometheusRemoteWriteUrl:'http://u:secretpw@localhost/'})
t('two auth', {prometheusRemoteWriteUrl:u, basicAuth:{username:'a',password:'supersecret'}, bearerToken:'tok', requestSigner(){} })
for (const [n,r,o] of [['none',undefined,undefined],['both', {getMetricsAsJSON(){}}, {client:{write(){}}, remoteWrite:{}}],['bad',{getMetricsAsJSON(){}},{remoteWrite:{nope:1,maxBatchSizeInSamples:0}, intervalMs:5, labels:{'1a':'x', b:5}}]]) { try { pushRegistry(r,o); console.log('ok') } catch(e){ console.log(n, e.code, e.message) } }
