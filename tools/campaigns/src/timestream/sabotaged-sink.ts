import type { SinkContext, SinkWriter } from '@sluice/core'
import { TimestreamSink, type TimestreamSinkOptions } from '@sluice/timestream'
import { sabotaged } from '../subject/sabotage.ts'

/** The sink as it is, unless a defect of its writer is asked for. */
export class SabotagedTimestreamSink<In> extends TimestreamSink<In> {
  readonly #sabotage: string | undefined

  constructor(options: TimestreamSinkOptions<In>, sabotage: string | undefined) {
    super(options)
    this.#sabotage = sabotage
  }

  override createWriter(context: SinkContext): SinkWriter<In> {
    return sabotaged(super.createWriter(context), this.#sabotage)
  }
}
