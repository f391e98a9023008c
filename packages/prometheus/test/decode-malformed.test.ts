import { describe, expect, test } from 'vitest'
import { decodeRemoteWrite } from '../src/decode.ts'
import { recordEntry } from '../src/entries.ts'
import { createEncoder } from '../src/encode.ts'
import { SeriesTable } from '../src/series-table.ts'

/** A field with a length: its number, and its bytes. */
function field(number: number, ...bytes: readonly number[]): readonly number[] {
  return [(number << 3) | 2, bytes.length, ...bytes]
}

function text(value: string): readonly number[] {
  return [...Buffer.from(value)]
}

const V1_LABEL = field(1, ...field(1, ...text('__name__')), ...field(2, ...text('up')))
const SAMPLE = field(2, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 5)
const SYMBOLS = ['', '__name__', 'up'].flatMap((symbol) => field(4, ...text(symbol)))

function v1(...bytes: readonly number[]): () => unknown {
  return () => decodeRemoteWrite(Uint8Array.from(bytes), '1.0')
}

function v2(...bytes: readonly number[]): () => unknown {
  return () => decodeRemoteWrite(Uint8Array.from(bytes), '2.0')
}

test('what is right is read, with fields that nobody knows', () => {
  expect(v1(...field(1, ...V1_LABEL, ...SAMPLE, ...field(10, 1, 2)), 0x78, 0x01, 0x7d, 1, 2, 3, 4)()).toStrictEqual({
    timeSeries: [
      {
        labels: [{ name: '__name__', value: 'up' }],
        samples: [{ value: 1, timestamp: 5 }],
        histograms: [],
        exemplars: [],
      },
    ],
    metadata: new Map(),
  })
  expect(v2(...SYMBOLS, ...field(5, ...field(1, 1, 2), ...SAMPLE))()).toMatchObject({
    timeSeries: [{ labels: [{ name: '__name__', value: 'up' }], samples: [{ value: 1, timestamp: 5 }] }],
  })
  // References one by one, as a sender that does not pack them may write them.
  expect(v2(...SYMBOLS, ...field(5, 0x08, 1, 0x08, 2, ...SAMPLE))()).toMatchObject({
    timeSeries: [{ labels: [{ name: '__name__', value: 'up' }] }],
  })
  expect(v1()()).toStrictEqual({ timeSeries: [], metadata: new Map() })
})

describe('what is wrong is named, with its place', () => {
  test.each<[string, () => unknown, string]>([
    ['a tag that is cut off', v1(0x8a), 'the request: a tag: a varint is cut off, at byte 0'],
    [
      'a varint without an end',
      v1(...Array.from({ length: 11 }, () => 0xff)),
      'a varint has more than 10 bytes, at byte 0',
    ],
    ['a tag alone', v1(0x0a), 'timeseries[0]: a varint is cut off, at byte 1'],
    ['a length beyond the body', v1(0x0a, 5, 1), 'timeseries[0]: a length of 5 bytes, and 1 are left, at byte 1'],
    [
      'a length of 2^63',
      v1(0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
      'timeseries[0]: a length of 9223372036854775808 bytes, and 0 are left, at byte 1',
    ],
    [
      'a length beyond the message that it is in',
      v1(...field(1, ...V1_LABEL, 0x12, 3, 0x10), 0x10, 5),
      'timeseries[0].samples[0]: a length of 3 bytes, and 1 are left',
    ],
    [
      'a double that is cut off',
      v1(...field(1, ...field(2, 0x09, 0, 0))),
      'timeseries[0].samples[0].value: 8 bytes are wanted, and 2 are left',
    ],
    [
      'a time that is cut off',
      v1(...field(1, ...field(2, 0x10, 0x80))),
      'timeseries[0].samples[0].timestamp: a varint is cut off',
    ],
    ['a series that is a number', v1(0x08, 1), 'timeseries[0]: wire type 0, where 2 is wanted, at byte 1'],
    [
      'a value that is a number',
      v1(...field(1, ...field(2, 0x08, 1))),
      'timeseries[0].samples[0].value: wire type 0, where 1 is wanted',
    ],
    [
      'a time that is a double',
      v1(...field(1, ...field(2, 0x11, 0, 0, 0, 0, 0, 0, 0, 0))),
      'timestamp: wire type 1, where 0 is wanted',
    ],
    [
      'a name that is a number',
      v1(...field(1, ...field(1, 0x08, 1))),
      'timeseries[0].labels[0].name: wire type 0, where 2 is wanted',
    ],
    [
      'a time that is a list',
      v1(...field(1, ...field(2, ...field(2, 1, 2)))),
      'timestamp: wire type 2, where 0 is wanted',
    ],
    [
      'a name that is no text',
      v1(...field(1, ...field(1, ...field(1, 0xc3, 0x28)))),
      'labels[0].name: a string must be UTF-8',
    ],
    ['a group', v1(0x0b), 'timeseries[0]: there is no wire type 3 in remote write, at byte 1'],
    ['a wire type that does not exist', v1(0x7f, 1), 'field 15: there is no wire type 7 in remote write, at byte 1'],
    ['field 0', v1(0x00, 1), 'field 0: no field has this number, at byte 0'],
    ['an unknown field that is cut off', v1(0x7a, 9, 1), 'field 15: a length of 9 bytes, and 1 are left'],
    ['a first symbol that is not empty', v2(...field(4, ...text('up'))), "the first symbol must be ''"],
    ['a symbol that is no text', v2(...field(4), ...field(4, 0xff)), 'symbols[1]: a string must be UTF-8'],
    [
      'a reference beyond the symbols',
      v2(...SYMBOLS, ...field(5, ...field(1, 1, 3), ...SAMPLE)),
      'symbol 3 is referred to, and there are 3',
    ],
    [
      'a reference without symbols',
      v2(...field(5, ...field(1, 0, 0), ...SAMPLE)),
      'symbol 0 is referred to, and there are 0',
    ],
    [
      'an odd reference',
      v2(...SYMBOLS, ...field(5, ...field(1, 1, 2, 1), ...SAMPLE)),
      'references of labels come in pairs, got 3',
    ],
    [
      'a reference of more than 32 bits',
      v2(...SYMBOLS, ...field(5, ...field(1, 1, 0x82, 0x80, 0x80, 0x80, 0x10))),
      'labelsRefs[0]: 4294967298 is more than 32 bits hold',
    ],
    [
      'a reference that is cut off',
      v2(...SYMBOLS, ...field(5, ...field(1, 1, 0x80))),
      'timeseries[0].labelsRefs[0]: a varint is cut off',
    ],
    [
      'references as doubles',
      v2(...SYMBOLS, ...field(5, 0x09, 0, 0, 0, 0, 0, 0, 0, 0)),
      'labelsRefs[0]: wire type 1, where 0 is wanted',
    ],
    [
      'an odd reference of an exemplar',
      v2(...SYMBOLS, ...field(5, ...field(1, 1, 2), ...SAMPLE, ...field(4, ...field(1, 1)))),
      'references of labels come in pairs, got 1',
    ],
    [
      'help that is no symbol',
      v2(...SYMBOLS, ...field(5, ...field(1, 1, 2), ...SAMPLE, ...field(5, 0x18, 9))),
      'symbol 9 is referred to, and there are 3',
    ],
    [
      'buckets that are no doubles',
      v1(...field(1, ...V1_LABEL, ...field(4, ...field(10, 1, 2, 3)))),
      'timeseries[0].histograms[0].negativeCounts[0]: 3 bytes are no list of doubles',
    ],
  ])('%s', (_, decode, message) => {
    expect(decode).toThrow(RangeError)
    expect(decode).toThrow(message)
  })
})

describe.each(['1.0', '2.0'] as const)('a request of %s', (protocol) => {
  const table = new SeriesTable({ validation: 'normalise', protocol })
  const entries = Array.from({ length: 6 }, (_, at) =>
    recordEntry(table, {
      name: `up_${at % 3}`,
      labels: { host: `h${at % 5}` },
      value: at / 3,
      timestamp: 1_700_000_000_000 + at,
      metadata: { type: 'counter', help: 'h', unit: 's' },
      exemplar: { labels: { trace_id: 'abc' }, value: 1, timestamp: 1_700_000_000_000 + at },
    }),
  )
  const body = Buffer.from(createEncoder(protocol, { validation: 'normalise' }).encode(entries))

  /** What is read, one text for each series; undefined where it is refused. Anything but a RangeError is thrown on. */
  function read(bytes: Uint8Array): readonly string[] | undefined {
    try {
      return decodeRemoteWrite(bytes, protocol).timeSeries.map((series) => JSON.stringify(series))
    } catch (error) {
      if (error instanceof RangeError) return undefined
      throw error
    }
  }

  test('that is cut off anywhere is either shorter or refused, and never read as something else', () => {
    const whole = read(body) ?? []
    expect(whole).toHaveLength(6)
    for (let length = 0; length < body.length; length++) {
      const series = read(body.subarray(0, length)) ?? []
      expect(series).toStrictEqual(whole.slice(0, series.length))
      expect(series.length).toBeLessThan(whole.length)
    }
  })

  test('with a byte that is another one is read or refused, and nothing else happens', () => {
    let refused = 0
    for (let at = 0; at < body.length; at++) {
      for (const flip of [0x01, 0x07, 0x80, 0xff]) {
        const broken = Buffer.from(body)
        broken[at] = (body[at] as number) ^ flip
        if (read(broken) === undefined) refused++
      }
    }
    expect(refused).toBeGreaterThan(body.length)
  })
})
