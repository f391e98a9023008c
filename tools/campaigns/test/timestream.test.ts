import type { DeadLetter } from '@sluice/core'
import { seededRandom } from '@sluice/core/testing'
import type { Fault, JournalMeasure, JournalRecord, JournalWrite } from '@sluice/timestream-local'
import { describe, expect, test } from 'vitest'
import type { GeneratedRecord, PipelineUnderTest } from '../src/campaign.ts'
import { confirmedArrivals } from '../src/ledger/confirmed.ts'
import { Generator } from '../src/ledger/generator.ts'
import { judgeAmbiguous } from '../src/timestream/ambiguous.ts'
import { judgeCredentials, type KeyChange } from '../src/timestream/credentials.ts'
import { ambiguousPlan, rejectPlan, stormPlan } from '../src/timestream/fault-plan.ts'
import { arrivalsOf } from '../src/timestream/journal.ts'
import { judgePoison } from '../src/timestream/poison-campaign.ts'
import { convert, explains, POISON_KINDS, poisoned, poisonOf, type Poison } from '../src/timestream/poison.ts'
import { judgeRejects } from '../src/timestream/rejects.ts'
import { repeatedRequests, RequestLog, unrepeated, type WriteRequest } from '../src/timestream/requests.ts'
import { judgeStorm } from '../src/timestream/storm.ts'
import type { TimestreamFacts } from '../src/timestream/trial.ts'
import { arrival, entry } from './support.ts'

const generator = new Generator(1, 1_700_000_000_000)
const records = Array.from({ length: 100 }, () => generator.next())

function request(number: number, ids: readonly string[], status: number | 'none' = 200): WriteRequest {
  return { number, ids, status: status === 'none' ? undefined : status, accessKeyId: 'KEY' }
}

function facts(more: Partial<TimestreamFacts> = {}): TimestreamFacts {
  const { letters = [] } = more
  return {
    records,
    requests: [],
    writes: [],
    letters,
    faults: [],
    rows: records.length - new Set(letters.map(({ raw }) => raw)).size,
    ...more,
  }
}

function text(name: string, value: string): JournalMeasure {
  return { name, type: 'VARCHAR', value }
}

/** What the store journals of a record. */
function journalled(record: GeneratedRecord, more: Partial<JournalRecord> = {}): JournalRecord {
  return {
    index: 0,
    outcome: 'stored',
    dimensions: { source: record.source, key: record.key },
    measureName: 'reading',
    multi: true,
    measures: [
      { name: 'sequence', type: 'BIGINT', value: BigInt(record.sequence) },
      text('hash', record.hash),
      text('payload', record.payload),
    ],
    timeNs: BigInt(record.timeMs) * 1_000_000n,
    version: 1n,
    ...more,
  }
}

function write(seq: number, list: readonly JournalRecord[]): JournalWrite {
  const head = { seq, wallMs: 0, monotonicNs: BigInt(seq), requestId: `request ${seq}` }
  return { ...head, operation: 'WriteRecords', database: 'campaign', table: 'readings', records: list }
}

function letter(record: GeneratedRecord, code: string, message: string): DeadLetter {
  return {
    v: 1,
    id: record.hash,
    job: 'campaign',
    sink: 'timestream',
    stage: 'store',
    reason: { code, message },
    origin: { source: 'memory', split: 'split-0', position: '0' },
    raw: Buffer.from(JSON.stringify(record)).toString('base64'),
    attempts: 0,
    firstFailedAt: new Date(0).toISOString(),
  }
}

describe('what was sent', () => {
  test('a request is a repeat if one record of it was sent before', () => {
    expect(repeatedRequests([request(1, ['a', 'b']), request(2, ['c']), request(3, ['d', 'b'])])).toBe(1)
  })

  test('what was refused, or not answered, must come again; what was taken, or rejected, need not', () => {
    expect(unrepeated([request(1, ['a', 'b'], 429), request(2, ['a'])])).toBe(1)
    expect(unrepeated([request(1, ['a'], 'none')])).toBe(1)
    expect(unrepeated([request(1, ['a'], 'none'), request(2, ['a'])])).toBe(0)
    expect(unrepeated([request(1, ['a'], 419), request(2, ['b'])])).toBe(0)
  })

  test('records are told apart by their dimensions, common ones too, and their time', () => {
    const log = new RequestLog()
    const body = {
      CommonAttributes: { Dimensions: [{ Name: 'source', Value: 's' }], Time: '5' },
      Records: [
        { Dimensions: [{ Name: 'key', Value: 'a' }] },
        { Dimensions: [{ Name: 'key', Value: 'a' }], Time: '6' },
      ],
    }
    const info = {
      number: 3,
      method: 'POST',
      path: '/',
      headers: {
        'x-amz-target': 'Timestream_20181101.WriteRecords',
        authorization: 'AWS4-HMAC-SHA256 Credential=AKIA1/20261122/us-east-1/timestream/aws4_request, ...',
      },
      body: Buffer.from(JSON.stringify(body)),
      bodyBytes: 0,
    }
    log.observer.received?.(info)
    log.observer.received?.({ ...info, number: 4, headers: {} })
    expect(log.requests).toEqual([
      { number: 3, accessKeyId: 'AKIA1', ids: ['key=a source=s 5', 'key=a source=s 6'], status: undefined },
    ])
    log.observer.answered?.({ request: info, status: 419, headers: {}, body: Buffer.alloc(0), bodyBytes: 0 })
    expect(log.requests[0]?.status).toBe(419)
  })
})

describe('the journal', () => {
  const [record] = records as [GeneratedRecord]

  test('a record that arrived as it was made is the one that was produced', () => {
    const [found] = arrivalsOf([write(1, [journalled(record)])])
    const { source, key, sequence, hash } = record
    expect(found).toMatchObject({ entry: { source, key, sequence, hash }, outcome: 'stored', conflict: false })
  })

  test('an altered one has a hash that no record has; a higher version, or another value, is a conflict', () => {
    const altered = journalled({ ...record, payload: 'another' })
    expect(arrivalsOf([write(1, [altered])])[0]?.entry.hash).toContain('instead of')
    expect(arrivalsOf([write(1, [journalled(record, { outcome: 'updated' })])])[0]?.conflict).toBe(true)
    const rejected = journalled(record, { outcome: 'rejected', existingVersion: 2n })
    expect(arrivalsOf([write(1, [rejected])])[0]).toMatchObject({ outcome: 'rejected', conflict: true })
  })

  test('what was rejected is counted, although the store does not give it back', async () => {
    const pipeline: Pick<PipelineUnderTest, 'arrivals' | 'readBack'> = {
      arrivals: () => Promise.resolve([arrival(1, 10), arrival(2, 20, { outcome: 'rejected' })]),
      readBack: () => Promise.resolve([entry(1)]),
    }
    const found = await confirmedArrivals(pipeline as PipelineUnderTest)
    expect(found.map(({ outcome }) => outcome)).toEqual(['stored', 'rejected'])
  })
})

describe('the storm', () => {
  const calm = [request(1, ['a'], 503), request(2, ['a'])]

  test('a run that kept the rules passes, and its faults are counted', () => {
    const fired = { fired: 1, options: { kind: 'throttle', operation: 'WriteRecords' } } as const
    const missed = { fired: 0, options: { kind: 'throttle', operation: 'WriteRecords' } } as const
    expect(judgeStorm(facts({ requests: calm, faults: [fired, missed] }))).toMatchObject({
      broken: [],
      faultsPlanned: 2,
      faultsFired: 1,
      requestsRepeated: 1,
    })
  })

  test('each broken rule is told', () => {
    expect(judgeStorm(facts({ requests: calm.slice(0, 1) })).broken).toEqual([
      '1 records of requests that were not taken were never sent again',
    ])
    expect(judgeStorm(facts({ requests: calm, rows: 99 })).broken).toEqual(['the table has 99 rows, not 100'])
    expect(judgeStorm(facts({ requests: calm, rows: 101 })).broken).toEqual(['the table has 101 rows, not 100'])
  })
})

function cut(kind: 'cutAfterApply' | 'cutBeforeApply'): Pick<Fault, 'fired' | 'options'> {
  return { fired: 1, options: { kind, operation: 'WriteRecords' } }
}

describe('lost answers', () => {
  const [record] = records as [GeneratedRecord]
  const faults = [cut('cutAfterApply'), cut('cutBeforeApply')]
  const requests = [request(1, ['a'], 'none'), request(2, ['a'], 'none'), request(3, ['a'])]
  const writes = [write(1, [journalled(record)]), write(2, [journalled(record, { outcome: 'duplicate' })])]

  test('a run that kept the rules passes', () => {
    expect(judgeAmbiguous(facts({ faults, requests, writes }))).toMatchObject({
      broken: [],
      requestsRepeated: 1,
      figures: { cutsAfterApply: 1, cutsBeforeApply: 1, sentAgain: 2 },
    })
  })

  test('each broken rule is told', () => {
    expect(judgeAmbiguous(facts({ faults: faults.slice(0, 1), requests, writes })).broken).toEqual([
      '1 cuts came after a request was applied, and 0 before',
    ])
    expect(judgeAmbiguous(facts({ faults, requests, writes: writes.slice(0, 1) })).broken).toEqual([
      '1 answers were lost, and only 0 requests in the journal are repeats',
    ])
    expect(judgeAmbiguous(facts({ faults, requests: requests.slice(0, 2), writes })).broken).toEqual([
      '1 records of requests without an answer were never sent again',
    ])
    const changed = [write(1, [journalled(record)]), write(2, [journalled(record, { outcome: 'updated' })])]
    expect(judgeAmbiguous(facts({ faults, requests, writes: changed })).broken).toEqual([
      '1 repeats changed what was stored',
    ])
  })
})

describe('partial rejections', () => {
  const [first, second, third] = records as [GeneratedRecord, GeneratedRecord, GeneratedRecord]
  const writes = [
    write(1, [
      journalled(first, { outcome: 'rejected', reason: 'why' }),
      journalled(second, { outcome: 'rejected', reason: 'a version', existingVersion: 1n }),
      journalled(third),
    ]),
  ]
  const letters = [letter(first, 'RejectedRecord', 'why'), letter(second, 'RejectedVersion', 'a version 1')]
  const requests = [request(1, ['a', 'b', 'c'], 419)]

  test('a run that kept the rules passes', () => {
    const verdict = judgeRejects(facts({ writes, letters, requests }))
    expect(verdict).toMatchObject({ broken: [], requestsRepeated: 0, figures: { rejected: 2, versions: 1 } })
    expect(verdict.letters).toHaveLength(2)
  })

  test('each broken rule is told', () => {
    expect(judgeRejects(facts({ writes, letters: letters.slice(0, 1), requests })).broken).toEqual([
      '1 of 2 rejected records have no dead letter',
    ])
    const wronged = [...letters, letter(third, 'RejectedRecord', 'why')]
    expect(judgeRejects(facts({ writes, letters: wronged, requests })).broken).toEqual([
      '1 records have a dead letter, and the store did not reject them',
    ])
    const misquoted = [letter(first, 'RejectedRecord', 'something'), ...letters.slice(1)]
    expect(judgeRejects(facts({ writes, letters: misquoted, requests })).broken).toEqual([
      '1 dead letters have another reason than the store gave',
    ])
    expect(judgeRejects(facts({ writes, letters, requests: [...requests, request(2, ['c'])] })).broken).toEqual([
      '1 requests held records for which the store had answered',
    ])
    const noVersion = [write(1, writes[0]?.records.slice(0, 1) ?? [])]
    expect(judgeRejects(facts({ writes: noVersion, letters: letters.slice(0, 1), requests })).broken).toEqual([
      '0 of 1 rejections were about versions',
    ])
  })
})

describe('poison', () => {
  const good = records.slice(0, 98)
  const bad = [poisoned(records[98] as GeneratedRecord, 'throws'), poisoned(records[99] as GeneratedRecord, 'future')]
  const all = [...good, ...bad]
  const letters = [
    letter(bad[0] as GeneratedRecord, 'convertThrew', 'RangeError: a payload that cannot be read'),
    letter(bad[1] as GeneratedRecord, 'RejectedRecord', 'The record timestamp is outside the time range'),
  ]

  test('a run that kept the rules passes', () => {
    expect(judgePoison(facts({ records: all, letters }))).toMatchObject({
      broken: [],
      faultsPlanned: 2,
      faultsFired: 2,
      figures: { unreported: 0, kinds: 2 },
    })
  })

  test('each broken rule is told', () => {
    expect(judgePoison(facts({ records: all, letters: letters.slice(0, 1) }))).toMatchObject({
      broken: ['1 of 2 bad records have no dead letter: future'],
      faultsFired: 1,
    })
    const wrong = [letter(bad[0] as GeneratedRecord, 'RejectedRecord', 'why'), ...letters.slice(1)]
    expect(judgePoison(facts({ records: all, letters: wrong })).broken).toEqual([
      '1 dead letters give another reason than what was wrong: throws',
    ])
    const wronged = [...letters, letter(good[0] as GeneratedRecord, 'RejectedRecord', 'why')]
    expect(judgePoison(facts({ records: all, letters: wronged })).broken).toEqual(['1 good records have a dead letter'])
    const loop = Array.from({ length: 100 }, (_, number) => request(number, ['a']))
    expect(judgePoison(facts({ records: all, letters, requests: loop })).broken).toEqual([
      expect.stringMatching(/^100 requests, no more than/),
    ])
    const mute = letters.map((each) => ({ ...each, raw: null }))
    expect(judgePoison(facts({ records: all, letters: mute })).broken).toContainEqual(
      '2 dead letters are without a reason, or without what was refused',
    )
  })

  test('each kind is another defect, and none is left of a record that is good', () => {
    const [record] = records as [GeneratedRecord]
    expect(poisonOf(record)).toBeUndefined()
    for (const kind of POISON_KINDS) {
      const poison = poisoned(record, kind)
      expect(poisonOf(poison)).toBe(kind)
      expect(poison.hash).not.toBe(record.hash)
      expect(explains(kind, { code: 'RejectedRecord', message: 'nothing that anybody knows' })).toBe(false)
    }
    expect(POISON_KINDS).toHaveLength(18)
    // Of these it is the store that has another one.
    const held: ReadonlySet<Poison> = new Set(['conflict', 'olderVersion'])
    const shapes = POISON_KINDS.filter((kind) => kind !== 'throws' && !held.has(kind))
    for (const kind of shapes) expect(shapeOf(poisoned(record, kind))).not.toEqual(shapeOf(record))
    expect(() => convert(poisoned(record, 'throws'))).toThrow(RangeError)
  })
})

/** The record without what tells it from others. */
function shapeOf(record: GeneratedRecord): object {
  const { MeasureValues: values = [], ...rest } = convert(record)
  return { ...rest, MeasureValues: values.map(({ Name: name, Type: type }) => ({ name, type })) }
}

describe('keys that expire', () => {
  const changes: readonly KeyChange[] = (['at once', 'late', 'none for a time'] as const).map((change) => ({
    change,
    fired: 1,
    refused: 2,
    taken: 3,
  }))
  const requests = [request(1, ['a'], 403), request(2, ['a'])]

  test('a run that kept the rules passes', () => {
    expect(judgeCredentials({ requests, changes })).toMatchObject({
      broken: [],
      faultsPlanned: 3,
      faultsFired: 3,
      requestsRepeated: 1,
      figures: { refused: 6 },
    })
  })

  test('each broken rule is told', () => {
    expect(judgeCredentials({ requests: requests.slice(0, 1), changes }).broken).toEqual([
      '1 records of requests with expired keys were never sent again',
    ])
    expect(judgeCredentials({ requests, changes: changes.map((each) => ({ ...each, taken: 0 })) }).broken).toEqual([
      '3 of 3 new keys were not used',
    ])
    expect(judgeCredentials({ requests, changes: changes.slice(1) }).broken).toEqual(['keys changed in 2 ways, not 3'])
    const unseen = changes.map((each) => ({ ...each, refused: 0 }))
    expect(judgeCredentials({ requests, changes: unseen }).faultsFired).toBe(0)
  })
})

describe('plans', () => {
  test.each([
    ['storm', (seed: number) => stormPlan(64, seededRandom(seed))],
    ['ambiguous', (seed: number) => ambiguousPlan(500, seededRandom(seed))],
    ['rejects', (seed: number) => rejectPlan(50, seededRandom(seed), 10)],
  ])('%s: the same seed gives the same faults', (_, planOf) => {
    expect(planOf(5)).toEqual(planOf(5))
    expect(planOf(5)).not.toEqual(planOf(6))
  })

  test('a storm has each kind as often as every other', () => {
    const kinds = Map.groupBy(stormPlan(64, seededRandom(1)), (fault) => JSON.stringify({ ...fault, delayMs: 0 }))
    expect([...kinds.values()].map((list) => list.length)).toEqual(Array.from({ length: 8 }, () => 8))
  })

  test('beside 500 answers 100 requests are lost', () => {
    const kinds = Map.groupBy(ambiguousPlan(500, seededRandom(1)), ({ kind }) => kind)
    expect(kinds.get('cutAfterApply')).toHaveLength(500)
    expect(kinds.get('cutBeforeApply')).toHaveLength(100)
  })

  test('rejections are at different places, of one record up to all', () => {
    const plan = rejectPlan(300, seededRandom(1), 10)
    const sizes = new Set(plan.map(({ records: places = [] }) => places.length))
    expect(sizes.has(1)).toBe(true)
    expect(sizes.size).toBeGreaterThan(6)
    expect(new Set(plan.flatMap(({ records: places = [] }) => places)).size).toBe(10)
  })
})
