import type { SeriesLike } from '@sluice/prometheus'
import { payloadHash } from '@sluice/core/testing'
import type { GeneratedRecord } from '../campaign.ts'
import { ledgerPayload } from '../ledger/generator.ts'
import { METRIC, valueOf } from '../pipelines/prometheus-settings.ts'

const MARK = 'poison '
const DAY_MS = 86_400_000

/** A record that no series can be made of, by what is wrong with it. */
const POISONS = {
  throws: () => {
    throw new RangeError('a payload that cannot be read')
  },
  repeatedLabel: (record) => ({
    ...bad(record),
    labels: [...labelsOf(record), { name: 'key', value: 'again' }],
  }),
  noName: ({ timeMs, ...record }) => ({
    labels: labelsOf(record),
    samples: [{ value: valueOf(record), timestamp: timeMs }],
  }),
  badName: (record) => ({ ...bad(record), name: 'bad.readings' }),
  badLabel: (record) => ({ ...bad(record), labels: [...labelsOf(record), { name: 'a-b', value: '1' }] }),
  halfACharacter: (record) => ({ ...bad(record), labels: [...labelsOf(record), { name: 'half', value: '\ud83d' }] }),
  fractionOfAMillisecond: (record) => ({ ...bad(record), timestamp: record.timeMs + 0.5 }),
  noNumber: (record) => ({ ...bad(record), timestamp: Number.NaN }),
  /** Only the receiver can tell. */
  tooOld: (record) => ({ ...bad(record), timestamp: record.timeMs - 30 * DAY_MS }),
  alsoTooOld: (record) => ({ ...bad(record), timestamp: record.timeMs - DAY_MS }),
} as const satisfies Readonly<Record<string, (record: GeneratedRecord) => SeriesLike>>

export type Poison = keyof typeof POISONS

export const POISON_KINDS: readonly Poison[] = Object.keys(POISONS).filter(isPoison)

/** The metric of what a receiver is to refuse. */
export const BAD_METRIC = `bad_${METRIC}`

/** The record, made bad in one way. */
export function poisoned(record: GeneratedRecord, kind: Poison): GeneratedRecord {
  const payload = `${MARK}${kind} ${record.payload}`
  return { ...record, payload, hash: payloadHash(ledgerPayload(payload, record.timeMs)) }
}

/** What is wrong with it; undefined where nothing is. */
export function poisonOf({ payload }: Pick<GeneratedRecord, 'payload'>): Poison | undefined {
  const kind = payload.startsWith(MARK) ? payload.slice(MARK.length).split(' ')[0] : undefined
  return kind !== undefined && isPoison(kind) ? kind : undefined
}

/** The subject's converter: one sample, whose value tells what the record held. */
export function seriesOf(record: GeneratedRecord): SeriesLike {
  const kind = poisonOf(record)
  if (kind !== undefined) return POISONS[kind](record)
  return { name: METRIC, labels: labelsOf(record), value: valueOf(record), timestamp: record.timeMs }
}

function bad(record: GeneratedRecord): { name: string; labels: Label[]; value: number; timestamp: number } {
  return { name: BAD_METRIC, labels: labelsOf(record), value: valueOf(record), timestamp: record.timeMs }
}

interface Label {
  readonly name: string
  readonly value: string
}

function labelsOf({ source, key }: Pick<GeneratedRecord, 'source' | 'key'>): Label[] {
  return [
    { name: 'source', value: source },
    { name: 'key', value: key },
  ]
}

function isPoison(kind: string): kind is Poison {
  return Object.hasOwn(POISONS, kind)
}
