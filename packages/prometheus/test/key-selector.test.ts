import { orderKeyOf } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import { seriesKey } from '../src/key-selector.ts'
import { SeriesTable } from '../src/series-table.ts'
import { T } from './writer-stand.ts'

const samples = [{ value: 1, timestamp: T }]
const labels = { Zone: 'z', a: '1', ['\u{1f600}']: 'x', ['\u{ff5e}']: 'y' }

describe('the key of a series', () => {
  test('is the same whatever the order of labels, the form, the samples and empty labels', () => {
    const key = seriesKey({ metricName: 'up', labels, samples })
    const reversed = Object.entries(labels)
      .toReversed()
      .map(([name, value]) => ({ name, value }))
    expect(seriesKey({ metricName: 'up', labels: reversed, samples: [] })).toBe(key)
    expect(seriesKey({ name: 'up', labels: { ...labels, empty: '' }, value: 7, timestamp: 0 })).toBe(key)
    expect(seriesKey({ labels: [...reversed, { name: '__name__', value: 'up' }] })).toBe(key)
  })

  test.each([
    ['another name', { metricName: 'down', labels }],
    ['another value', { metricName: 'up', labels: { ...labels, a: '2' } }],
    ['one label more', { metricName: 'up', labels: { ...labels, b: '1' } }],
    ['one label less', { metricName: 'up', labels: { a: '1' } }],
  ])('is another one with %s', (_, other) => {
    expect(seriesKey(other)).not.toBe(seriesKey({ metricName: 'up', labels }))
  })

  test('tells where a name ends', () => {
    expect(seriesKey({ metricName: 'up', labels: { ab: 'c' } })).not.toBe(
      seriesKey({ metricName: 'up', labels: { a: 'bc' } }),
    )
  })

  test('gives the order key that the sink has without it', () => {
    const table = new SeriesTable({ validation: 'normalise', protocol: '2.0' })
    expect(orderKeyOf(seriesKey({ metricName: 'up', labels }))).toBe(table.series('up', labels).orderKey)
  })

  test('of a series without anything is a key too', () => {
    expect(seriesKey({})).toBe('')
  })
})
