import { explainEntries, type Explanation } from '@sluice/core'
import type { ResolvedSinkOptions } from './options-sink.ts'
import type { Entry } from './series.ts'
import { EntryFactory, sizeOf } from './writer-entries.ts'

/** What the sink would send for the value. Has a table of series of its own, so that nothing is remembered. */
export function explainValue<In>(options: ResolvedSinkOptions<In>, value: In): Explanation {
  const factory = new EntryFactory<In>(options)
  const { tenant, engine } = options
  return explainEntries<In, Entry>(
    {
      convert: (given, emit) => factory.convert(given, emit, 'refuses'),
      sizeInBytes: sizeOf,
      weight: (entry) => entry.size,
      orderKey: ({ series }) => series.orderKey,
      limits: engine,
      send: (entry) => {
        const destination = typeof tenant === 'string' ? tenant : entry.tenant
        return { entry: entry.toJSON(), ...(destination === '' ? {} : { destination }) }
      },
    },
    value,
  )
}
