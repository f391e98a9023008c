import { type ExplainedEntry, explainEntries, type Explanation, type Reason } from '@sluice/core'
import { Converter } from './convert.ts'
import type { ResolvedOptions } from './options.ts'
import type { Entry } from './record/entry.ts'
import { RequestMaker } from './request/maker.ts'
import { billedUnits } from './request/request.ts'

/** What the sink would send for the value: each record as if it were sent alone. Makes no client and sends nothing. */
export function explainValue<In>(options: ResolvedOptions<In>, value: In): Explanation {
  const converter = new Converter(options)
  const maker = new RequestMaker(options, false)
  return explainEntries(
    {
      convert: (given: In, emit: (entry: Entry) => void) => converter.convert(given, emit),
      sizeInBytes: (entry) => entry.sizeInBytes,
      limits: options.engine,
      send: (entry) => explainRecord(options, maker, entry),
    },
    value,
  )
}

function explainRecord<In>(
  options: ResolvedOptions<In>,
  maker: RequestMaker<In>,
  entry: Entry,
): Partial<Pick<ExplainedEntry, 'entry' | 'destination' | 'billed' | 'refusals'>> {
  const { databaseName = '', tableName = '' } = maker.destinationOf(entry.table)
  const record = entry.toRecord()
  if (entry.problems.length > 0) {
    const refusals: readonly Reason[] = entry.problems.map((message) => ({ code: 'InvalidRecord', message }))
    return { entry: record, destination: `${databaseName}/${tableName}`, refusals }
  }
  const request = maker.make([{ index: 0, entry, raises: 0 }])
  if ('isolate' in request) return { entry: record, refusals: [request.isolate] }
  if ('fail' in request) {
    return { entry: record, refusals: [{ code: request.fail.code, message: request.fail.message }] }
  }
  return {
    entry: options.batchConverter === undefined ? record : request.toSdk(),
    destination: `${request.databaseName}/${request.tableName}`,
    billed: { 'writes of 1 KiB': billedUnits(request.bytes) },
  }
}
