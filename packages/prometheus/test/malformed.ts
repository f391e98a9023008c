import type { Label, Sample, ValidationPolicy } from '../src/model.ts'
import type { SeriesLike } from '../src/options-sink.ts'
import type { ReceiverName } from './receivers.ts'

/** Something that a receiver refuses, or that it would keep only in part. */
export interface Malformed {
  readonly what: string
  readonly series: SeriesLike
  /** A text that is in no other case: a value, or a time. */
  readonly mark: number
  /** Whether it cannot be put right: unless validation is off, it is never sent. */
  readonly byUs: boolean
  /** Whether it is put right, or refused where validation is strict. @default as `byUs` */
  readonly byStrict?: boolean
  /** Receivers that refuse it when it is sent. */
  readonly by: readonly ReceiverName[]
  /** What is read back where nobody refuses it. */
  readonly stored?: { readonly selector: string; readonly values: readonly number[] }
}

export const NOW: number = Math.floor(Date.now() / 1000) * 1000
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const ALL: readonly ReceiverName[] = ['prometheus', 'prometheus with an out-of-order window']
const WITHOUT_WINDOW: readonly ReceiverName[] = ['prometheus']

/** Written before by somebody else: a series that has moved on, and a batch that is replayed. */
export const PRIOR: readonly SeriesLike[] = [
  ...['same', 'other', 'older', 'newer'].map((id) => ({
    metricName: 'moved',
    labels: { id },
    samples: [
      { value: 1, timestamp: NOW - 60_000 },
      { value: 2, timestamp: NOW - 1000 },
    ],
  })),
  { metricName: 'replayed', samples: replayed() },
]

function replayed(): readonly Sample[] {
  return [1, 2, 3, 4, 5].map((step) => ({ value: 7000 + step, timestamp: NOW - 30_000 + step * 1000 }))
}

function moved(id: string, value: number, timestamp: number): SeriesLike {
  return { name: 'moved', labels: { id }, value, timestamp }
}

function labelled(mark: number, labels: readonly Label[], name = 'odd'): SeriesLike {
  return { name, labels, value: mark, timestamp: NOW }
}

/** One of each. Labels of these are in the order in which they are given: an object would be no different, a list can repeat them. */
export function malformedCases(validation: ValidationPolicy): readonly Malformed[] {
  const sent: readonly Malformed[] = [
    {
      what: 'the newest sample again',
      series: moved('same', 2, NOW - 1000),
      mark: 0.5,
      byUs: false,
      by: [],
    },
    {
      what: 'another value at the same time',
      series: moved('other', 910_001, NOW - 1000),
      mark: 910_001,
      byUs: false,
      by: ALL,
    },
    {
      what: 'an older sample',
      series: moved('older', 910_002, NOW - 30_000),
      mark: 910_002,
      byUs: false,
      by: WITHOUT_WINDOW,
      stored: { selector: 'moved{id="older"}', values: [1, 910_002, 2] },
    },
    {
      what: 'the newest sample again and a newer one',
      series: {
        metricName: 'moved',
        labels: { id: 'newer' },
        samples: [
          { value: 2, timestamp: NOW - 1000 },
          { value: 910_003, timestamp: NOW },
        ],
      },
      mark: 910_003,
      byUs: false,
      by: [],
    },
    {
      what: 'a batch that was stored before',
      series: { metricName: 'replayed', samples: replayed() },
      mark: 7003,
      byUs: false,
      by: WITHOUT_WINDOW,
    },
    {
      what: 'samples in descending order',
      series: {
        metricName: 'descending',
        samples: [3, 2, 1].map((step) => ({ value: 910_010 + step, timestamp: NOW - 20_000 + step * 1000 })),
      },
      mark: 910_012,
      byUs: false,
      byStrict: true,
      by: [],
      stored: { selector: 'descending', values: [910_011, 910_012, 910_013] },
    },
    {
      what: 'thirty days old',
      series: { name: 'old', value: 910_020, timestamp: NOW - 30 * DAY_MS },
      mark: 910_020,
      byUs: false,
      by: ALL,
      stored: { selector: 'old', values: [910_020] },
    },
    {
      what: 'two hours old',
      series: { name: 'ageing', value: 910_021, timestamp: NOW - 2 * HOUR_MS },
      mark: 910_021,
      byUs: false,
      by: ALL,
      stored: { selector: 'ageing', values: [910_021] },
    },
    {
      what: 'a repeated label',
      series: labelled(910_030, [
        { name: 'a', value: '1' },
        { name: 'a', value: '2' },
      ]),
      mark: 910_030,
      byUs: true,
      by: ALL,
    },
    {
      what: 'no labels',
      series: { samples: [{ value: 910_031, timestamp: NOW }] },
      mark: 910_031,
      byUs: true,
      by: ALL,
    },
    {
      what: 'no metric name',
      series: { labels: { a: 'nameless' }, samples: [{ value: 910_032, timestamp: NOW }] },
      mark: 910_032,
      byUs: true,
      by: [],
    },
    {
      what: 'a metric name with a dot',
      series: labelled(910_033, [], 'odd.name'),
      mark: 910_033,
      byUs: true,
      by: [],
    },
    {
      what: 'a label name with a dash',
      series: labelled(910_034, [{ name: 'a-b', value: '1' }]),
      mark: 910_034,
      byUs: true,
      by: [],
    },
    {
      what: 'an empty label value',
      series: labelled(910_035, [
        { name: 'empty', value: '' },
        { name: 'kind', value: 'emptied' },
      ]),
      mark: 910_035,
      byUs: false,
      byStrict: true,
      by: [],
      stored: { selector: 'odd{kind="emptied"}', values: [910_035] },
    },
    {
      what: 'labels out of order, in upper case',
      series: labelled(910_036, [
        { name: 'z', value: '1' },
        { name: 'InstanceID', value: '2' },
        { name: 'AccountID', value: '3' },
      ]),
      mark: 910_036,
      byUs: false,
      byStrict: true,
      by: [],
      stored: { selector: 'odd{z="1",InstanceID="2",AccountID="3"}', values: [910_036] },
    },
  ]
  // Without anything to send there is nothing that a receiver could refuse.
  const empty: Malformed = {
    what: 'no samples',
    series: { metricName: 'empty', labels: { mark: '910040' }, samples: [] },
    mark: 910_040,
    byUs: true,
    by: [],
  }
  return validation === 'off' ? sent : [...sent, empty]
}
