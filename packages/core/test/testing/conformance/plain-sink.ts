import { messageOf } from '../../../src/errors.ts'
import { type Explanation, type Sink, type SinkContext, type SinkWriter, SPI_VERSION } from '../../../src/index.ts'
import type {
  SinkAbilities,
  SinkLimits,
  SinkRecord,
  SinkStage,
  SinkSubject,
} from '../../../src/testing/conformance/subject.ts'
import type { ScriptedStore } from '../../../src/testing/scripted-store.ts'
import { PlainWriter } from './plain-writer.ts'
import { type Entry, entriesOf, PER_ENTRY } from './subjects.ts'

type WriterClass = new (context: SinkContext, limits: SinkLimits, store: ScriptedStore<Entry>) => SinkWriter<SinkRecord>

/** A sink by hand around a writer by hand. */
export class PlainSink implements Sink<SinkRecord> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid = 'plain'
  readonly repeats: Sink<SinkRecord>['repeats'] = 'idempotent'
  protected readonly store: ScriptedStore<Entry>
  readonly #limits: SinkLimits
  readonly #writer: WriterClass

  constructor(stage: SinkStage, writer: WriterClass = PlainWriter) {
    this.store = stage.store as unknown as ScriptedStore<Entry>
    this.#limits = stage.limits
    this.#writer = writer
  }

  createWriter(context: SinkContext): SinkWriter<SinkRecord> {
    return new this.#writer(context, this.#limits, this.store)
  }

  explain(record: SinkRecord): Explanation {
    try {
      const entries = [...entriesOf(record)]
      return { entries: entries.map((entry) => ({ entry, sizeInBytes: 0, weight: 1, refusals: [] })) }
    } catch (error) {
      return { entries: [], refusal: { code: 'convertThrew', message: messageOf(error) } }
    }
  }
}

export function plainSubject(
  name: string,
  writer: WriterClass = PlainWriter,
  abilities: SinkAbilities = PER_ENTRY,
  make: (stage: SinkStage, writer: WriterClass) => PlainSink = (stage) => new PlainSink(stage, writer),
): SinkSubject<SinkRecord> {
  return {
    name,
    abilities,
    valueFor: (record) => record,
    create: (stage) => make(stage, writer),
    decodeExplained: (entry) => entry as Entry,
  }
}
