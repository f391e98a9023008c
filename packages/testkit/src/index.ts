export { debianPackage, debianLibrary, debianPackageOrSkip, type DebianProgram } from './debian-package.ts'
export { startFaultProxy, type FaultProxy, type FaultProxyOptions, type ProxyCounters } from './fault-proxy.ts'
export type { ExchangeObserver } from './exchange-observer.ts'
export type {
  ActiveFault,
  Fault,
  FaultCount,
  FaultKind,
  FaultRule,
  ProxyAnswer,
  RequestFault,
  RequestInfo,
  ResponseFault,
  ResponseInfo,
} from './faults.ts'
export { startFauxqs, type Fauxqs, type FauxqsOptions } from './fauxqs.ts'
export { cacheFolder, temporaryFolder, type TemporaryFolder } from './folders.ts'
export { freePort } from './free-port.ts'
export { startKinesisLocal, type KinesisLocal, type KinesisLocalOptions } from './kinesis-local.ts'
export { startPrometheus, type Prometheus, type PrometheusOptions } from './prometheus.ts'
export type { QueriedSample, SeriesLabels, StoredSeries, TimeWindow } from './prometheus-query.ts'
export type { ExactStoredSeries } from './prometheus-remote-read.ts'
export type { RemoteWriteReceiver, RemoteWriteReceiverOptions } from './remote-write-receiver.ts'
export {
  readRemoteWriteJournal,
  type JournalledRequest,
  type RemoteWriteJournalOptions,
} from './remote-write-proxy-journal.ts'
export { decodeRemoteWrite, type ExactSample, type ExactSeries } from './remote-write-proxy-decode.ts'
export { respondWith, startRemoteWriteProxy } from './remote-write-proxy.ts'
export type { Hold, HoldOptions, RemoteWriteProxy, RemoteWriteProxyOptions } from './remote-write-proxy.ts'
export { requireOrSkip } from './requirements.ts'
export { spawnNode, type NodeChild, type NodeExit, type SpawnNodeOptions } from './spawn-node.ts'
export { startVictoriaMetrics } from './victoria-metrics.ts'
export { waitFor, type WaitForOptions } from './wait.ts'
