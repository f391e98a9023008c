import { RemoteWriteClient, pushRegistry } from '@sluice/prometheus'
const u = 'http://localhost:9090/api/v1/write'
try { new RemoteWriteClient({prometheusRemoteWriteUrl:u, closeDeadlineMs:-1, name: 5, maxUnsettled:0, deadLetters: 3, restart: 1, metrics: 2}) ; console.log('ok?!')} catch (e) { console.log(e.code, e.message) }
try { new RemoteWriteClient({prometheusRemoteWriteUrl:u, closeDeadlineMs:-1, staleMarkersOnClose:5}) ; console.log('ok?!')} catch (e) { console.log(e.code, e.message) }
setTimeout(()=>process.exit(),100)
