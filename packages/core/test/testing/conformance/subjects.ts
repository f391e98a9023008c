import { ScriptedSink, type ScriptedSinkOptions } from '../../../src/testing/scripted-sink.ts'
import type {
  SentEntry,
  SinkAbilities,
  SinkRecord,
  SinkStage,
  SinkSubject,
} from '../../../src/testing/conformance/subject.ts'

/** Every ability that a sink can have whose store answers per entry. */
export const PER_ENTRY: SinkAbilities = {
  answers: 'entry',
  repeats: 'idempotent',
  orderKey: 'own',
  destinations: true,
  entryRetries: true,
  namedRefusals: true,
  wholeRefusals: true,
  conflicts: true,
  tooLarge: true,
  throttling: 'retryAfter',
  callerFaults: true,
  conversionRefusals: true,
  fanOut: true,
  explain: true,
}

export const PER_REQUEST: SinkAbilities = {
  ...PER_ENTRY,
  answers: 'request',
  repeats: 'duplicated',
  orderKey: 'keyed',
  destinations: false,
  entryRetries: false,
  namedRefusals: false,
}

export type Entry = SentEntry & { readonly destination: string }

/** The entries of a record; throws after them if it is to be refused. */
export function* entriesOf({ key, sequence, entries, destination, conversionThrows }: SinkRecord): Iterable<Entry> {
  for (let part = 0; part < entries; part++) {
    const id = `${key}/${sequence}.${part}`
    yield { key, sequence, part, destination, content: `content of ${id}`, identity: `version of ${id}` }
  }
  if (conversionThrows) throw new Error('a value that cannot be converted')
}

export function keyNumber(key: string): number {
  let hash = 7
  for (const character of key) hash = (hash * 31 + character.charCodeAt(0)) % 1_000_003
  return hash
}

/** The engine, complete and correct, with the given abilities. */
export function engineSubject(
  name: string,
  abilities: SinkAbilities,
  make: (options: ScriptedSinkOptions<SinkRecord, Entry>, stage: SinkStage) => ScriptedSink<SinkRecord, Entry> = (
    options,
  ) => new ScriptedSink(options),
): SinkSubject<SinkRecord> {
  return {
    name,
    abilities,
    valueFor: (record) => record,
    create: (stage) =>
      make(
        {
          ...stage.limits,
          store: stage.store as unknown as ScriptedSink<SinkRecord, Entry>['store'],
          answers: abilities.answers,
          repeats: abilities.repeats,
          convert: entriesOf,
          ...(abilities.destinations ? { destination: (entry: Entry) => entry.destination } : {}),
          ...(abilities.orderKey === 'own' ? { orderKey: (entry: Entry) => keyNumber(entry.key) } : {}),
        },
        stage,
      ),
    decodeExplained: (entry) => entry as Entry,
  }
}
