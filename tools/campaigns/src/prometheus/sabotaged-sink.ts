import {
  ALL_WRITTEN,
  type Batch,
  type SinkContext,
  type SinkWriter,
  type SubmitContext,
  type SubmitOutcome,
} from '@sluice/core'
import { PrometheusSink, type PrometheusSinkOptions } from '@sluice/prometheus'

/** What a sabotage changes of a writer. */
interface Inside {
  submit(batch: Batch<unknown>, context: SubmitContext): Promise<SubmitOutcome>
  orderKey(entry: unknown): number
}

/**
 * The sink as it is, unless one of these defects is asked for:
 *
 * - `drop-requeued`: what is to be sent again counts as written.
 * - `ignore-reject`: what is refused counts as written.
 * - `lose-order`: samples of one series may overtake each other.
 */
export class SabotagedSink<In> extends PrometheusSink<In> {
  readonly #sabotage: string | undefined

  constructor(options: PrometheusSinkOptions<In>, sabotage: string | undefined) {
    super(options)
    this.#sabotage = sabotage
  }

  override createWriter(context: SinkContext): SinkWriter<In> {
    const writer = super.createWriter(context)
    const inside = writer as unknown as Inside
    const submit = inside.submit.bind(writer)
    let entries = 0
    switch (this.#sabotage) {
      case 'drop-requeued':
        inside.submit = async (batch, attempt) => written(await submit(batch, attempt), ['retryAll'])
        break
      case 'ignore-reject':
        inside.submit = async (batch, attempt) => written(await submit(batch, attempt), ['isolate', 'entries'])
        break
      case 'lose-order':
        inside.orderKey = () => entries++
        break
      case undefined:
      default:
    }
    return writer
  }
}

function written(outcome: SubmitOutcome, instead: readonly string[]): SubmitOutcome {
  return instead.some((kind) => kind in outcome) ? ALL_WRITTEN : outcome
}
