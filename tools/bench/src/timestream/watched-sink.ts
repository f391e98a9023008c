import type { Settlement, Sink, SinkContext, SinkWriter } from '@sluice/core'

/** The sink as it is; tells which inputs have their outcome, and when they are offered. */
export class WatchedSink<In> implements Sink<In> {
  readonly spiVersion: number
  readonly uid: string
  readonly repeats: Sink<In>['repeats']
  readonly #sink: Sink<In>
  readonly #onSettled: (tokens: Float64Array, count: number) => void

  constructor(sink: Sink<In>, onSettled: (tokens: Float64Array, count: number) => void) {
    this.spiVersion = sink.spiVersion
    this.uid = sink.uid
    this.repeats = sink.repeats
    this.#sink = sink
    this.#onSettled = onSettled
  }

  createWriter(context: SinkContext): Promise<SinkWriter<In>> | SinkWriter<In> {
    return this.#sink.createWriter({ ...context, settlement: this.#watched(context.settlement) })
  }

  #watched(settlement: Settlement): Settlement {
    return {
      became: (token, entries) => settlement.became(token, entries),
      settle: (token) => {
        settlement.settle(token)
        this.#onSettled(Float64Array.of(token), 1)
      },
      settleAll: (tokens, count) => {
        settlement.settleAll(tokens, count)
        this.#onSettled(tokens, count)
      },
      returned: (token) => settlement.returned(token),
      isReleased: (token) => settlement.isReleased(token),
      isReplaySuspect: (token) => settlement.isReplaySuspect(token),
      refused: (refusal) => settlement.refused(refusal),
    }
  }
}
