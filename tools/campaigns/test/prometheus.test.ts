import { seededRandom } from '@sluice/core/testing'
import type { DeadLetter } from '@sluice/core'
import type { JournalledRequest } from '@sluice/testkit'
import { describe, expect, test } from 'vitest'
import type { GeneratedRecord, PipelineUnderTest } from '../src/campaign.ts'
import { confirmedArrivals } from '../src/ledger/confirmed.ts'
import { Generator } from '../src/ledger/generator.ts'
import { valueOf } from '../src/pipelines/prometheus-settings.ts'
import { orderPlan, stormPlan } from '../src/prometheus/fault-plan.ts'
import { judgeOrder } from '../src/prometheus/order.ts'
import { judgePoison } from '../src/prometheus/poison-campaign.ts'
import { POISON_KINDS, poisoned, poisonOf, seriesOf } from '../src/prometheus/poison.ts'
import { notRising, repeatedRequests, type SentRequest, tooEarly, unrepeated } from '../src/prometheus/sent.ts'
import { judgeStorm } from '../src/prometheus/storm.ts'
import type { PrometheusFacts } from '../src/prometheus/trial.ts'
import { arrival, entry } from './support.ts'

const MS = 1_000_000n

function request(number: number, more: Partial<JournalledRequest> = {}): JournalledRequest {
  const atNs = BigInt(number) * 10n * MS
  return {
    number,
    atNs,
    method: 'POST',
    path: '/api/v1/write',
    headers: {},
    body: undefined,
    bodyBytes: 0,
    bodySha256: '',
    answer: { atNs: atNs + MS, status: 204, body: '' },
    fault: undefined,
    ...more,
  }
}

/** Samples as `series@time`. */
function sent(number: number, samples: readonly string[], more: Partial<JournalledRequest> = {}): SentRequest {
  return {
    request: request(number, more),
    samples: samples.map((id) => {
      const [series = '', time] = id.split('@')
      return { series, timestampMs: Number(time), value: Number(time), id }
    }),
  }
}

function facts(more: Partial<PrometheusFacts> = {}): PrometheusFacts {
  const list = more.sent ?? []
  return {
    records: [],
    journal: list.map((each) => each.request),
    sent: list,
    plan: { rules: [], asked: [{ number: 1, seconds: 1 }] },
    faultsPlanned: 0,
    faultsFired: 0,
    letters: [],
    badStored: 0,
    ...more,
  }
}

const refusedBy = (status: number): Partial<JournalledRequest> => ({
  answer: undefined,
  fault: { atNs: 20n * MS, kind: 'respond', status },
})
const cutAfter: Partial<JournalledRequest> = { fault: { atNs: 20n * MS, kind: 'cutAfterApply', status: undefined } }
const cutBefore: Partial<JournalledRequest> = {
  answer: undefined,
  fault: { atNs: 20n * MS, kind: 'cutBeforeApply', status: undefined },
}

const wants = ({ fault }: JournalledRequest): boolean => fault !== undefined
const at = (ms: number): Partial<JournalledRequest> => ({ atNs: BigInt(ms) * MS })

describe('what the journal says', () => {
  test('exact repeats are left out, and what is left has to rise', () => {
    expect(notRising([sent(1, ['a@1', 'b@1']), sent(2, ['a@1', 'a@2']), sent(3, ['a@2', 'b@2'])])).toBe(0)
    expect(notRising([sent(1, ['a@2']), sent(2, ['a@1'])])).toBe(1)
    expect(notRising([sent(1, ['a@2', 'a@1'])])).toBe(1)
  })

  test('requests count in the order in which they were applied, and only if they were', () => {
    const late = { answer: { atNs: 900n * MS, status: 204, body: '' } }
    expect(notRising([sent(1, ['a@1'], late), sent(2, ['a@2'])])).toBe(1)
    expect(notRising([sent(1, ['a@2'], refusedBy(503)), sent(2, ['a@1']), sent(3, ['a@2'])])).toBe(0)
    const refused = { answer: { atNs: 1n, status: 400, body: '' } }
    expect(notRising([sent(1, ['a@2'], refused), sent(2, ['a@1'])])).toBe(0)
  })

  test('a request is a repeat if one sample of it was sent before', () => {
    expect(repeatedRequests([sent(1, ['a@1', 'b@1']), sent(2, ['b@2', 'a@1']), sent(3, ['c@1'])])).toBe(1)
  })

  test('samples of a request that was not taken must come again', () => {
    expect(unrepeated([sent(1, ['a@1', 'b@1'], refusedBy(429)), sent(2, ['a@1'])], wants)).toBe(1)
    expect(unrepeated([sent(1, ['a@1', 'b@1'], refusedBy(429)), sent(2, ['a@1']), sent(3, ['b@1'])], wants)).toBe(0)
  })

  test('nobody sends before the time of a Retry-After is over, but what was under way counts as sent', () => {
    const asked = [{ number: 1, seconds: 1 }]
    const first = request(1, { ...at(0), fault: { atNs: 0n, kind: 'respond', status: 429 } })
    expect(tooEarly([first, request(2, at(499)), request(3, at(1000))], asked, 500)).toBe(0)
    expect(tooEarly([first, request(2, at(501)), request(3, at(999))], asked, 500)).toBe(2)
  })
})

describe('the storm', () => {
  const calm = [sent(1, ['a@1'], refusedBy(503)), sent(2, ['a@1']), sent(3, ['a@2'])]

  test('a run that kept the rules passes', () => {
    expect(judgeStorm(facts({ sent: calm }))).toMatchObject({ broken: [] })
  })

  test('each broken rule is told', () => {
    expect(judgeStorm(facts({ sent: calm, plan: { rules: [], asked: [] } })).broken).toEqual([
      'nobody was asked to wait',
    ])
    expect(judgeStorm(facts({ sent: calm.slice(0, 1) })).broken).toEqual([
      '1 samples of requests that were not taken were never sent again',
    ])
    const impatient = sent(4, ['b@1'], { atNs: 900n * MS })
    expect(judgeStorm(facts({ sent: [...calm, impatient] })).broken).toEqual([
      '1 requests came before the time that Retry-After gave',
    ])
    expect(judgeStorm(facts({ sent: [...calm, sent(4, ['a@0'])] })).broken).toEqual([
      '1 samples came behind a later one of their series',
    ])
  })
})

describe('order', () => {
  const records = Array.from({ length: 1000 }, (_, key) => new Generator(1, 0).next(key))
  const kept = [sent(1, ['a@1'], cutAfter), sent(2, ['a@1', 'b@1'], cutBefore), sent(3, ['a@1', 'b@1'])]

  test('a run that kept the rules passes', () => {
    expect(judgeOrder(facts({ records, sent: kept }))).toMatchObject({
      broken: [],
      figures: { series: 1000, cuts: 2, cutsAfterApply: 1, behind: 0 },
    })
  })

  test('each broken rule is told', () => {
    expect(judgeOrder(facts({ records: records.slice(1), sent: kept })).broken).toEqual(['999 series, not 1000'])
    expect(judgeOrder(facts({ records, sent: [...kept, sent(4, ['a@0'])] })).broken).toEqual([
      '1 samples came behind a later one of their series',
    ])
    expect(judgeOrder(facts({ records, sent: kept.slice(0, 2) })).broken).toEqual([
      '2 samples of requests that were cut were never sent again',
    ])
  })

  test('without cuts both before and after a request is applied it proves nothing', () => {
    const [after, before, last] = kept
    for (const list of [[after], [before], []]) {
      const given = [...list, last].flatMap((each) => each ?? [])
      expect(judgeOrder(facts({ records, sent: given })).broken).toEqual([
        expect.stringMatching(/^of \d cuts \d came after/),
      ])
    }
  })
})

describe('poison', () => {
  const generator = new Generator(1, 1_700_000_000_000)
  const good = Array.from({ length: 100 }, () => generator.next())
  const bad = [poisoned(generator.next(), 'throws'), poisoned(generator.next(), 'tooOld')]
  const letters = bad.map((record, index) => letter(record, index === 0 ? 'convert' : 'store'))
  const records = [...good, ...bad]

  test('a run that kept the rules passes', () => {
    const verdict = judgePoison(facts({ records, letters, sent: [sent(1, ['a@1'])] }))
    expect(verdict).toMatchObject({ broken: [], faultsPlanned: 2, faultsFired: 2, figures: { unreported: 0 } })
    expect(verdict.letters).toHaveLength(2)
  })

  test('each broken rule is told', () => {
    expect(judgePoison(facts({ records, letters: letters.slice(0, 1) }))).toMatchObject({
      broken: [
        '1 of 2 bad records have no dead letter',
        'bad records were refused at convert, not at convert and store',
      ],
      faultsFired: 1,
    })
    const wronged = good.slice(0, 1).map((record) => letter(record, 'store'))
    expect(judgePoison(facts({ records, letters: [...letters, ...wronged] })).broken).toEqual([
      '1 good records have a dead letter',
    ])
    expect(judgePoison(facts({ records, letters, badStored: 3 })).broken).toEqual([
      'the receiver holds 3 samples of bad records',
    ])
    const mute = letters.map((each) => ({ ...each, reason: { code: 'x', message: '' } }))
    expect(judgePoison(facts({ records, letters: mute })).broken).toEqual([
      '2 dead letters are without a reason, or without what was refused',
    ])
    const loop = Array.from({ length: 100 }, (_, index) => sent(index + 1, ['a@1']))
    expect(judgePoison(facts({ records, letters, sent: loop })).broken).toEqual([
      '100 requests, no more than 85.5 are needed',
    ])
  })

  test('a bad record that came to the receiver was a fault, whatever became of it', () => {
    const [, old] = bad
    const value = old === undefined ? 0 : valueOf(old)
    const seen = { ...sent(1, []), samples: [{ series: 'a', timestampMs: 1, value, id: 'a' }] }
    expect(judgePoison(facts({ records, letters: letters.slice(0, 1), sent: [seen] }))).toMatchObject({
      faultsFired: 2,
    })
  })

  test('each kind is another defect, and none is left of a record that is good', () => {
    const record = generator.next()
    expect(poisonOf(record)).toBeUndefined()
    expect(seriesOf(record)).toMatchObject({ name: 'readings', value: valueOf(record), timestamp: record.timeMs })
    for (const kind of POISON_KINDS) {
      const poison = poisoned(record, kind)
      expect(poisonOf(poison)).toBe(kind)
      expect(poison.hash).not.toBe(record.hash)
    }
    expect(POISON_KINDS).toHaveLength(10)
  })
})

describe('plans', () => {
  test.each([stormPlan, orderPlan])('the same seed gives the same faults, one for each request at most', (planOf) => {
    const rules = planOf(100, seededRandom(5)).rules
    expect(rules).toHaveLength(100)
    expect(rules.every(({ times }) => times === 1)).toBe(true)
    const again = planOf(100, seededRandom(5)).rules
    expect(JSON.stringify(again)).toBe(JSON.stringify(rules))
  })

  test('a storm notes whom it asks to wait', () => {
    const { rules, asked } = stormPlan(48, seededRandom(1))
    const info = { method: 'POST', path: '/', headers: {}, body: Buffer.alloc(0), bodyBytes: 0 }
    for (const [index, rule] of rules.entries()) expect(rule.match?.({ ...info, number: 1000 + index })).toBe(true)
    const waits = rules.filter((rule) => 'headers' in rule && rule.headers?.['Retry-After'] !== undefined)
    expect(asked).toHaveLength(waits.length)
    expect(asked.length).toBeGreaterThanOrEqual(3)
  })

  test('half of the faults of order are cuts', () => {
    const { rules } = orderPlan(80, seededRandom(1))
    expect(rules.filter(({ kind }) => kind !== 'delayRequest' && kind !== 'delayResponse')).toHaveLength(40)
  })
})

test('what the store took and does not give back is not stored; what it gives back and never took is told', async () => {
  const pipeline: Pick<PipelineUnderTest, 'arrivals' | 'readBack'> = {
    arrivals: () => Promise.resolve([arrival(1, 10), arrival(2, 20)]),
    readBack: () => Promise.resolve([entry(2), entry(3)]),
  }
  const found = await confirmedArrivals(pipeline as PipelineUnderTest)
  expect(found.map(({ entry: { sequence } }) => sequence)).toEqual([2, 3])
})

function letter(record: GeneratedRecord, stage: DeadLetter['stage']): DeadLetter {
  return {
    v: 1,
    id: record.hash,
    job: 'campaign',
    sink: 'prometheus',
    stage,
    reason: { code: 'refused', message: 'why' },
    origin: { source: 'memory', split: 'split-0', position: '0' },
    raw: Buffer.from(JSON.stringify(record)).toString('base64'),
    attempts: 0,
    firstFailedAt: new Date(0).toISOString(),
  }
}
