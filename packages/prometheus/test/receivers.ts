import { type RemoteWriteReceiver, startPrometheus, startVictoriaMetrics } from '@sluice/testkit'

/** Receivers that answer differently to the same request. */
export const RECEIVERS = ['prometheus', 'prometheus with an out-of-order window', 'victoria-metrics'] as const
export type ReceiverName = (typeof RECEIVERS)[number]

/** Starts a receiver of its own, with everything switched on that it can take. */
export function startReceiver(name: ReceiverName): Promise<RemoteWriteReceiver> {
  if (name === 'victoria-metrics') return startVictoriaMetrics()
  return startPrometheus(name === 'prometheus' ? {} : { outOfOrderTimeWindow: '10m' })
}
