import type { _Record } from '@aws-sdk/client-timestream-write'
import { describeSink, type SentEntry, type SinkRecord, type SinkStage, type StoreAnswer } from '@sluice/core/testing'
import type { Sink } from '@sluice/core'
import { afterAll, describe, test } from 'vitest'
import { writerOver } from './over.ts'

import type { TimestreamSinkOptions } from '../src/options.ts'
import type { TimestreamRecord } from '../src/record/record.ts'
import { TimestreamSink } from '../src/sink.ts'
import { type Answer, exception, FakeService, STORED } from './fake-service.ts'

/** Before the name of a destination, which may be shorter than that of a table, or empty. */
const TABLE_OF = 'table-'

/** The time-out that a client of the caller gets: 11 tries of 20 s and their pauses, and a discovery before the first. */
const SDK_TIMEOUT_MS = 440_000

/** Two requests, and a discovery before the first. */
const DIRECT_TIMEOUT_MS = 60_000

function toRecords({ key, sequence, entries, conversionThrows }: SinkRecord): readonly TimestreamRecord[] {
  if (conversionThrows) throw new TypeError('a value that cannot be converted')
  return Array.from({ length: entries }, (_, part) => ({
    Dimensions: [{ Name: 'key', Value: key }],
    MeasureName: `part${part}`,
    MeasureValue: String(sequence * 1.5),
    Time: String(1_700_000_000_000 + sequence),
    Version: 1,
  }))
}

/** A record as it was sent: what the service recognises a repeat by are its coordinates and its version. */
function decode(record: _Record): SentEntry {
  const { Dimensions = [], MeasureName = '', Time = '', Version } = record
  return {
    key: Dimensions[0]?.Value ?? '',
    sequence: Number(Time) - 1_700_000_000_000,
    part: Number(MeasureName.slice('part'.length)),
    content: JSON.stringify(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    identity: JSON.stringify([Dimensions, MeasureName, Time, Version]),
  }
}

function toAnswer(answer: StoreAnswer): Answer {
  switch (answer.kind) {
    case 'stored':
      return STORED
    case 'entries':
      return rejected(
        answer.outcomes.flatMap((outcome, index) =>
          outcome === 'stored'
            ? []
            : [{ RecordIndex: index, Reason: outcome, ...(outcome === 'conflict' ? { ExistingVersion: 2 } : {}) }],
        ),
      )
    case 'short':
      // The nearest that the service could say: a record that the request does not have.
      return rejected([{ RecordIndex: answer.outcomes.length + 1, Reason: 'beyond the last record' }])
    case 'throttled':
      return exception('ThrottlingException', 429, 'Too many ActiveMagneticStorePartitions')
    case 'unavailable':
      return exception('InternalServerException', 500, 'try again')
    case 'cut':
      return { error: Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }) }
    case 'refused':
      return exception('ValidationException', 400, 'a record is invalid')
    case 'denied':
      return exception('AccessDeniedException', 403, 'not authorized')
    case 'threw':
      return { error: new TypeError('the client is broken') }
    case 'meaningless':
      return rejected([])
    case 'conflict':
    case 'tooLarge':
      break
  }
  throw new Error(`the service has no answer for ${answer.kind}`)
}

function rejected(list: readonly Readonly<Record<string, unknown>>[]): Answer {
  return exception('RejectedRecordsException', 419, 'records were rejected', { RejectedRecords: list })
}

function serviceOf({ store, defer }: SinkStage): FakeService {
  const service = new FakeService(async ({ body, records }) => {
    const destination = body.TableName?.slice(TABLE_OF.length) ?? ''
    return toAnswer(await store.receive(records.map(decode), destination))
  })
  defer(() => service.client.destroy())
  return service
}

interface Subject {
  readonly transport: 'sdk' | 'direct'
  /** Each value goes to a table of its own, and series keep their order. */
  readonly routed: boolean
}

const SUBJECTS: readonly Subject[] = [
  { transport: 'sdk', routed: false },
  { transport: 'direct', routed: false },
  { transport: 'direct', routed: true },
]

function sinkOver({ transport, routed }: Subject, stage: SinkStage): Sink<SinkRecord> {
  const { requestTimeoutMs: _, ...limits } = stage.limits
  const options: TimestreamSinkOptions<SinkRecord> = {
    ...limits,
    databaseName: 'metrics',
    tableName: routed ? ({ destination }) => TABLE_OF + destination : TABLE_OF,
    elementConverter: toRecords,
    orderBySeries: routed,
  }
  const service = serviceOf(stage)
  const sink = new TimestreamSink<SinkRecord>(options)
  return {
    spiVersion: sink.spiVersion,
    uid: sink.uid,
    repeats: sink.repeats,
    createWriter: (context) => writerOver(transport, service, options, context),
    explain: (value) => sink.explain(value),
  }
}

for (const subject of SUBJECTS) {
  const { transport, routed } = subject
  describeSink<SinkRecord>(
    { describe, test, afterAll },
    {
      name: `TimestreamSink over ${transport}${routed ? ', routed and in order of series' : ''}`,
      abilities: {
        answers: 'entry',
        repeats: 'idempotent',
        orderKey: routed ? 'own' : 'keyed',
        destinations: routed,
        entryRetries: false,
        namedRefusals: true,
        wholeRefusals: true,
        conflicts: true,
        tooLarge: false,
        throttling: 'slowsDown',
        callerFaults: true,
        conversionRefusals: true,
        fanOut: true,
        explain: true,
      },
      requestTimeoutMs: transport === 'sdk' ? SDK_TIMEOUT_MS : DIRECT_TIMEOUT_MS,
      valueFor: (record) => record,
      create: (stage) => sinkOver(subject, stage),
      decodeExplained: (entry) => decode(entry as _Record),
    },
  )
}
