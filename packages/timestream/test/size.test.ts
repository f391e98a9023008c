import { expect, test } from 'vitest'
import type { _Record as TimestreamRecord } from '@aws-sdk/client-timestream-write'
import { countMeasures, requestSizeInBytes } from '../src/size.ts'

const dimension = (Name: string, Value: string): { Name: string; Value: string } => ({ Name, Value })

test.for([
  [
    'the example of the pricing page',
    {
      Time: '1',
      Dimensions: [
        dimension('region', 'us-east-1'),
        dimension('az', '1d'),
        dimension('vpc', 'vpc-1a2b3c4d'),
        dimension('hostname', 'host-24Gju'),
      ],
      MeasureName: 'cpu_utilization',
      MeasureValue: '35.0',
      MeasureValueType: 'DOUBLE',
    },
    83,
  ],
  ['UTF-8 bytes, not characters', { Dimensions: [dimension('straße', '東京')], MeasureName: 'é' }, 7 + 6 + 2],
  ['no type is a DOUBLE', { MeasureName: 'm', MeasureValue: '1234567890' }, 1 + 8],
  ['a text', { MeasureName: 'm', MeasureValue: 'né', MeasureValueType: 'VARCHAR' }, 1 + 3],
  ['a boolean', { MeasureName: 'm', MeasureValue: 'true', MeasureValueType: 'BOOLEAN' }, 1 + 1],
  ['a whole number', { MeasureName: 'm', MeasureValue: '1', MeasureValueType: 'BIGINT' }, 1 + 8],
  [
    'several measures',
    {
      Time: '1',
      MeasureName: 'multi',
      MeasureValueType: 'MULTI',
      MeasureValues: [
        { Name: 'cpu', Value: '1', Type: 'DOUBLE' },
        { Name: 'at', Value: '1700000000000', Type: 'TIMESTAMP' },
        { Name: 'note', Value: 'ok', Type: 'VARCHAR' },
      ],
    },
    8 + 5 + (3 + 8) + (2 + 8) + (4 + 2),
  ],
  ['nothing', {}, 0],
  ['parts of wrong types', { Dimensions: [null, { Name: 1 }], MeasureName: 5, MeasureValues: 'x' }, 0],
] as unknown as readonly (readonly [string, TimestreamRecord, number])[])('size: %s', ([, record, bytes]) => {
  expect(requestSizeInBytes({ DatabaseName: 'd', TableName: 't', Records: [record] })).toBe(bytes)
})

const multi = (count: number): TimestreamRecord => ({
  MeasureValueType: 'MULTI',
  MeasureValues: Array.from({ length: count }, (_, i) => ({ Name: `m${i}`, Value: '1', Type: 'DOUBLE' })),
})

test.for([
  ['scalars', undefined, [{}, {}, {}], 3],
  ['multi-measure records', undefined, [multi(2), multi(2)], 4],
  ['a type in the common attributes', { MeasureValueType: 'MULTI' }, [multi(3)], 3],
  ['common measures', multi(2), [{}, {}], 4],
] as const)('measures: %s', ([, common, records, measures]) => {
  const request = { DatabaseName: 'd', TableName: 't', Records: [...records] }
  expect(countMeasures(common === undefined ? request : { ...request, CommonAttributes: common })).toBe(measures)
})
