import { explainEntries, type ExplainedEntry, type Explanation } from '@sluice/core'
import type { ResolvedSinkOptions } from './options-sink.ts'
import { InvalidEntry } from './entry-invalid.ts'
import type { Entry } from './series.ts'
import { EntryFactory, sizeOf } from './writer-entries.ts'

/**
 * What the sink would send for the value, and what becomes of series that break the rules: where no policy says it, that of a job
 * without dead letters. Has a table of series of its own, so that nothing is remembered.
 */
export function explainValue<In>(options: ResolvedSinkOptions<In>, value: In): Explanation {
  const factory = new EntryFactory<In>(options)
  const { tenant, engine, policy } = options
  const onInvalid = policy.onPrometheusNonRetriableError === 'FAIL' ? 'refuses' : 'isReplaced'
  return explainEntries<In, Entry>(
    {
      convert: (given, emit) => factory.convert(given, emit, onInvalid),
      sizeInBytes: (entry) => (entry instanceof InvalidEntry ? 0 : sizeOf(entry)),
      weight: (entry) => (entry instanceof InvalidEntry ? 0 : entry.size),
      orderKey: ({ series }) => series.orderKey,
      limits: engine,
      send: (entry) => {
        if (entry instanceof InvalidEntry) return dropped(entry)
        const destination = typeof tenant === 'string' ? tenant : entry.tenant
        return { entry: entry.toJSON(), ...(destination === '' ? {} : { destination }) }
      },
    },
    value,
  )
}

function dropped({ error }: InvalidEntry): Pick<ExplainedEntry, 'entry' | 'refusals'> {
  const { metricName, problems } = error
  return { entry: { metricName }, refusals: [{ code: 'invalidSeries', message: problems.join('; '), cause: error }] }
}
