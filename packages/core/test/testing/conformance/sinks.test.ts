import { afterAll, describe, test } from 'vitest'

import { toFunction } from '../../../src/index.ts'
import { describeSink } from '../../../src/testing/conformance/runner.ts'
import type { SinkAbilities, SinkRecord, SinkSubject } from '../../../src/testing/conformance/subject.ts'
import { InMemorySink } from '../../../src/testing/in-memory-sink.ts'
import { outcomeOf } from '../../../src/testing/scripted-sink.ts'
import { type Entry, entriesOf, PER_ENTRY } from './subjects.ts'

const runner = { describe, test, afterAll }

const inMemorySink: SinkSubject<SinkRecord | Entry> = {
  name: 'InMemorySink',
  abilities: { ...PER_ENTRY, repeats: 'duplicated', orderKey: 'keyed', destinations: false },
  valueFor: (record) => record,
  create: ({ store, limits }) =>
    new InMemorySink<SinkRecord | Entry>({
      ...limits,
      convert: (value) => [...entriesOf(value as SinkRecord)],
      onSubmit: async ({ entries }) => outcomeOf(await store.receive(entries as readonly Entry[])),
    }),
  decodeExplained: (entry) => entry as Entry,
}

/** What a function can tell by resolving and rejecting. */
const FUNCTION: SinkAbilities = {
  answers: 'request',
  repeats: 'duplicated',
  orderKey: 'keyed',
  destinations: false,
  entryRetries: false,
  namedRefusals: false,
  wholeRefusals: false,
  conflicts: false,
  tooLarge: false,
  throttling: 'none',
  callerFaults: false,
  conversionRefusals: false,
  fanOut: false,
  explain: true,
}

const functionSink: SinkSubject<Entry> = {
  name: 'toFunction',
  abilities: FUNCTION,
  valueFor: (record) => {
    const [entry] = entriesOf(record)
    if (entry === undefined) throw new Error('a function gets one entry for a value')
    return entry
  },
  create: ({ store, limits }) =>
    toFunction<Entry>(async (entries) => {
      const { kind } = await store.receive(entries)
      if (kind === 'threw') throw new TypeError('the function is broken')
      // oxlint-disable-next-line typescript/only-throw-error -- a function may reject with anything
      if (kind === 'meaningless') throw undefined
      if (kind !== 'stored') throw new Error(kind)
    }, limits),
  decodeExplained: (entry) => entry as Entry,
}

describeSink(runner, inMemorySink)
describeSink(runner, functionSink)
