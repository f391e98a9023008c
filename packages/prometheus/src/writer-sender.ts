import { type Clock, messageOf } from '@sluice/core'
import { classifyAnswer, classifyError, type SentRequest, type WriteVerdict, type WrittenCounts } from './classify.ts'
import { type Compressor, createCompressor } from './compress.ts'
import { createEncoder, type RemoteWriteEncoder } from './encode.ts'
import { WriteRequestEncoder } from './encode-v1.ts'
import type { FailureLog } from './errors-log.ts'
import type { SinkMetrics } from './metrics.ts'
import type { MetricMetadata } from './model.ts'
import { Negotiation } from './negotiation.ts'
import type { ResolvedSinkOptions } from './options-sink.ts'
import type { WireProtocol } from './options.ts'
import type { Entry } from './series.ts'
import type { Transport } from './transport.ts'
import { fitsV1 } from './validate-protocol.ts'
import { MetadataSender } from './writer-metadata.ts'

const PROTOCOL_HEADERS: Readonly<Record<WireProtocol, Readonly<Record<string, string>>>> = {
  '1.0': {
    'content-encoding': 'snappy',
    'content-type': 'application/x-protobuf',
    'x-prometheus-remote-write-version': '0.1.0',
  },
  '2.0': {
    'content-encoding': 'snappy',
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'x-prometheus-remote-write-version': '2.0.0',
  },
}

type SenderOptions = Pick<
  ResolvedSinkOptions<never>,
  'protocol' | 'validation' | 'shownUrl' | 'headers' | 'tenantHeader' | 'metadataIntervalMs'
>

export interface SenderPlan {
  readonly options: SenderOptions
  /** Of every request, unless its entries name one. */
  readonly tenant: string
  readonly transport: Transport
  readonly metrics: SinkMetrics
  readonly log: FailureLog
  readonly clock: Clock
  /** Of one request that tells what metrics are. */
  readonly requestTimeoutMs: number
  /** Whether any entry may say what its metric is. */
  hasMetadata(): boolean
}

/** Sends entries as one request, in the version of the protocol that their destination takes. */
export class RequestSender {
  readonly #plan: SenderPlan
  readonly #negotiation: Negotiation
  readonly #compress: Compressor = createCompressor()
  readonly #encoders: Partial<Record<WireProtocol, RemoteWriteEncoder>> = {}
  #metadataEncoder: WriteRequestEncoder | undefined
  readonly #metadata: MetadataSender

  constructor(plan: SenderPlan) {
    this.#plan = plan
    this.#negotiation = new Negotiation(plan.options.protocol)
    this.#metadata = new MetadataSender({
      intervalMs: plan.options.metadataIntervalMs,
      timeoutMs: plan.requestTimeoutMs,
      clock: plan.clock,
      log: plan.log,
      send: (metrics, destination, signal) => this.#tell(metrics, destination, signal),
    })
  }

  /** Waits for requests that tell what metrics are; those of entries are the engine's. */
  async close(deadlineMs: number): Promise<void> {
    await this.#metadata.close(deadlineMs)
  }

  /**
   * One try, or two where the first finds out that the destination does not take its version. Never rejects.
   *
   * @param isIsolating - the request is a part of one that was refused in both versions: it is not asked in both again.
   */
  async send(
    entries: readonly Entry[],
    destination: string,
    signal: AbortSignal,
    isIsolating: boolean,
  ): Promise<WriteVerdict> {
    const { protocol, settled } = this.#negotiation.of(destination)
    if (!settled && isIsolating && this.#fitAll(entries)) return await this.#part(entries, destination, signal)
    const first = await this.#once(entries, protocol, destination, signal)
    if (protocol === '1.0' || !this.#negotiation.mayFallBack) return first
    // Also of what it refuses in part, none but a receiver of 2.0 counts what it wrote.
    if (first.kind === 'written' || first.written !== undefined) {
      this.#negotiation.settle(destination, '2.0')
      return first
    }
    const unread = first.kind === 'unsupported' || first.kind === 'unconfirmed'
    // Receivers of 1.x may answer 400 where 415 is meant.
    if (!unread && (settled || first.status !== 400)) return first
    const fits = this.#fitAll(entries)
    // Without those that 1.0 cannot say a success in it would prove nothing.
    if (!fits && !unread) return await this.#askEmpty(first, destination, signal)
    const second = await this.#once(fits ? entries : [], '1.0', destination, signal)
    if (second.kind === 'unsupported') {
      if (unread) return second
      this.#negotiation.settle(destination, '2.0')
      return first
    }
    if (second.kind === 'written' || unread) this.#settleV1(first, destination)
    const verdict = fits || (second.kind !== 'written' && second.kind !== 'refused') ? second : fellBack(first)
    return first.kind === 'unconfirmed' ? { ...verdict, uncertain: true } : verdict
  }

  /** Which version is refused where entries of 2.0 alone were answered with 400: an empty request holds nothing else to refuse. */
  async #askEmpty(first: WriteVerdict, destination: string, signal: AbortSignal): Promise<WriteVerdict> {
    const inV2 = await this.#once([], '2.0', destination, signal)
    if (inV2.kind === 'written') this.#negotiation.settle(destination, '2.0')
    const isRefused = inV2.kind === 'unsupported' || inV2.kind === 'unconfirmed' || inV2.status === 400
    // One that is not well is asked again.
    if (!isRefused) return inV2.kind === 'written' ? first : inV2
    const inV1 = await this.#once([], '1.0', destination, signal)
    if (inV1.kind === 'written') {
      this.#settleV1(first, destination)
      return fellBack(first)
    }
    return inV1.kind === 'unsupported' || inV1.status === 400 ? first : inV1
  }

  #settleV1(why: WriteVerdict, destination: string): void {
    if (!this.#negotiation.settle(destination, '1.0')) return
    this.#plan.metrics.counters.numProtocolFallbacks.value++
    this.#plan.log.fellBack(why.reason, destination)
  }

  /** Tells entries that the destination's version cannot say; undefined where there are none. */
  fitsOf(destination: string): ((entry: Entry) => boolean) | undefined {
    const { protocol, validation } = this.#plan.options
    const isNarrower = protocol === 'auto' && validation !== 'off'
    return isNarrower && this.#negotiation.of(destination).protocol === '1.0' ? fitsV1 : undefined
  }

  #fitAll(entries: readonly Entry[]): boolean {
    return this.#plan.options.validation === 'off' || entries.every(fitsV1)
  }

  /** In 1.0, which nearly every receiver takes; what it says of a part decides nothing. */
  async #part(entries: readonly Entry[], destination: string, signal: AbortSignal): Promise<WriteVerdict> {
    const verdict = await this.#once(entries, '1.0', destination, signal)
    if (verdict.kind !== 'unsupported') return verdict
    this.#negotiation.settle(destination, '2.0')
    return await this.#once(entries, '2.0', destination, signal)
  }

  async #once(
    entries: readonly Entry[],
    protocol: WireProtocol,
    destination: string,
    signal: AbortSignal,
  ): Promise<WriteVerdict> {
    const encoder = (this.#encoders[protocol] ??= createEncoder(protocol, this.#plan.options))
    let encoded: Uint8Array
    try {
      encoded = encoder.encode(entries)
    } catch (error) {
      // What was changed after it was looked at: it costs its own series, as what a receiver refuses.
      const reason = { code: 'notEncodable', message: `no bytes can be made of it: ${messageOf(error)}` }
      return { kind: 'refused', outcome: { isolate: reason }, reason }
    }
    const uncompressedBytes = encoded.byteLength
    const body = this.#compress(encoded)
    const { samples, histograms, exemplars } = countsOf(entries)
    const verdict = await this.#post(body, destination, signal, { protocol, samples, histograms })
    if (verdict.kind === 'written' && entries.length > 0) {
      const { counters } = this.#plan.metrics
      counters.numSamplesOut.value += verdict.written?.samples ?? samples
      counters.numHistogramsOut.value += verdict.written?.histograms ?? histograms
      counters.numExemplarsOut.value += verdict.written?.exemplars ?? exemplars
      counters.numWriteRequestsOut.value++
      counters.numCompressedBytesOut.value += body.byteLength
      counters.numUncompressedBytesOut.value += uncompressedBytes
      if (protocol === '1.0' && this.#plan.hasMetadata()) this.#metadata.written(entries, destination)
    }
    return verdict
  }

  async #tell(
    metrics: ReadonlyMap<string, MetricMetadata>,
    destination: string,
    signal: AbortSignal,
  ): Promise<WriteVerdict> {
    this.#metadataEncoder ??= new WriteRequestEncoder(true)
    const body = this.#compress(this.#metadataEncoder.encodeMetadata(metrics))
    const verdict = await this.#post(body, destination, signal, { protocol: '1.0', samples: 0, histograms: 0 })
    if (verdict.kind === 'written') this.#plan.metrics.counters.numMetadataOut.value += metrics.size
    return verdict
  }

  /** Never rejects. */
  async #post(
    body: Uint8Array,
    destination: string,
    signal: AbortSignal,
    sent: Omit<SentRequest, 'shownUrl'>,
  ): Promise<WriteVerdict> {
    const { options, transport, clock } = this.#plan
    const { shownUrl, headers, tenantHeader } = options
    const tenant = destination === '' ? this.#plan.tenant : destination
    try {
      const answer = await transport.post({
        body,
        headers: {
          ...headers,
          ...PROTOCOL_HEADERS[sent.protocol],
          ...(tenant === '' ? {} : { [tenantHeader]: tenant }),
        },
        signal,
      })
      return classifyAnswer(answer, { ...sent, shownUrl }, clock.wallNow())
    } catch (error) {
      return classifyError(error, shownUrl, (text) => transport.shown(text), transport.hasProxy)
    }
  }
}

/** The same again, in the other version. */
function fellBack({ reason }: WriteVerdict): WriteVerdict {
  return { kind: 'fellBack', reason, outcome: { retryAll: reason, slowDown: false } }
}

function countsOf(entries: readonly Entry[]): WrittenCounts {
  const counts = { samples: 0, histograms: 0, exemplars: 0 }
  for (const { parts } of entries) {
    if (parts === undefined) counts.samples++
    else {
      counts.samples += parts.samples.length
      counts.histograms += parts.histograms.length
      counts.exemplars += parts.exemplars.length
    }
  }
  return counts
}
