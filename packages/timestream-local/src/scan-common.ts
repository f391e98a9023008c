import { readDimensions, type CheckedDimensions, type Dimensions } from './dimensions.ts'
import { INT64_MAX } from './values.ts'
import { parseBody, type JsonObject } from './wire.ts'

/** The common attributes of requests, and the dimension lists that were seen with them. */
export interface CommonState {
  readonly dimensions: Dimensions
  readonly measureName: string | undefined
  readonly type: string | undefined
  readonly unit: string | undefined
  readonly time: string | undefined
  readonly version: bigint
  /** Shared by all common attributes with the same dimensions. */
  readonly known: Map<string, CheckedDimensions>
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}

const COMMON_TEXTS = ['MeasureName', 'MeasureValueType', 'TimeUnit', 'Time'] as const

export const NOTHING_COMMON: Omit<CommonState, 'known'> = {
  dimensions: readDimensions({}, ''),
  measureName: undefined,
  type: undefined,
  unit: undefined,
  time: undefined,
  version: 1n,
}

/** Reads common attributes; undefined when anything about them is out of the ordinary. */
export function readCommon(text: string): Omit<CommonState, 'known'> | undefined {
  try {
    const common = parseBody(text)
    if ('MeasureValue' in common || 'MeasureValues' in common) return undefined
    const [measureName, type, unit, time] = COMMON_TEXTS.map((name) => common[name])
    const version = commonVersion(common)
    if (!isTextOrNone(measureName) || !isTextOrNone(type) || !isTextOrNone(unit) || !isTextOrNone(time))
      return undefined
    if (version === undefined) return undefined
    return { dimensions: readDimensions(common, ''), measureName, type, unit, time, version }
  } catch {
    return undefined
  }
}

/** The version of common attributes, 1 when there is none; undefined when it is not in order. */
function commonVersion({ Version: value }: JsonObject): bigint | undefined {
  if (value === undefined) return 1n
  const isExact = Number.isSafeInteger(value) || (typeof value === 'string' && /^\d{16,19}$/.test(value))
  const version = isExact ? BigInt(value as number | string) : 0n
  return version >= 1n && version <= INT64_MAX ? version : undefined
}
