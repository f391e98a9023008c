import type { SinkContext, SinkWriter } from '@sluice/core'
import { PrometheusSink, type PrometheusSinkOptions } from '@sluice/prometheus'
import { sabotaged } from '../subject/sabotage.ts'

/** The sink as it is, unless a defect of its writer is asked for. */
export class SabotagedSink<In> extends PrometheusSink<In> {
  readonly #sabotage: string | undefined

  constructor(options: PrometheusSinkOptions<In>, sabotage: string | undefined) {
    super(options)
    this.#sabotage = sabotage
  }

  override createWriter(context: SinkContext): SinkWriter<In> {
    return sabotaged(super.createWriter(context), this.#sabotage)
  }
}
