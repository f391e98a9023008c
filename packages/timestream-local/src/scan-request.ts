import {
  checkDimensions,
  mergeDimensions,
  readDimensions,
  type CheckedDimensions,
  type KnownDimensions,
} from './dimensions.ts'
import { LIMITS } from './limits.ts'
import { byteLength, longNameProblem, reservedNameProblem } from './names.ts'
import { TIME_BYTES, type ParsedRecord } from './records.ts'
import { NOTHING_COMMON, readCommon, type CommonState } from './scan-common.ts'
import { MeasureTemplate, parsed, scanValue } from './scan-measures.ts'
import {
  INT64_MAX,
  parseTime,
  TIME_UNITS,
  valueBytes,
  VALUE_TYPES,
  type TimeUnit,
  type Value,
  type ValueType,
} from './values.ts'

/** Caches of a table beyond these sizes are emptied; a text beyond the limit is only read once more. */
const KNOWN_TEXTS = 100_000
const KNOWN_COMMON = 1000
const KNOWN_TEMPLATES = 32

const BRACE_OPEN = 123
const BRACE_CLOSE = 125
const BRACKET_CLOSE = 93
const COMMA = 44
const QUOTE = 34
const BACKSLASH = 92
const VERSION = /[1-9]\d{0,18}/y

/** Fields of the record at hand. */
interface Fields {
  dimensions: CheckedDimensions | undefined
  measureName: string | undefined
  type: string | undefined
  unit: string | undefined
  time: string | undefined
  version: bigint
  value: string | undefined
  /** Where the list of measures starts. */
  measuresAt: number
}

/**
 * Reads the records of a table's WriteRecords requests without building the objects of their JSON: repeated texts (a
 * dimension list, the names and types of measures) are recognized instead of parsed. It takes requests that are written
 * as JSON serializers write them, compact and without escapes, and in which nothing is wrong. For every other one `scan`
 * answers undefined, and the caller parses the JSON, which also finds the error to answer.
 */
export class RequestScanner {
  readonly #known: () => KnownDimensions
  readonly #common = new Map<string, CommonState>()
  /** Dimension lists of records by the dimensions that are common with them. */
  readonly #lists = new Map<string, Map<string, CheckedDimensions>>()
  #listCount = 0
  readonly #templates: MeasureTemplate[] = []
  readonly #measureNames = new Map<string, { readonly name: string; readonly bytes: number }>()

  constructor(known: () => KnownDimensions) {
    this.#known = known
  }

  /** The records of a request that is `bytes`, decoded as `text`; `from` is where the member after `TableName` starts. */
  scan(text: string, from: number, bytes: Buffer): readonly ParsedRecord[] | undefined {
    if (bytes.includes(BACKSLASH)) return undefined
    this.#view = text.length === bytes.length ? new DataView(bytes.buffer, bytes.byteOffset, bytes.length) : undefined
    let at = from
    let commonText = ''
    // Where the records must have ended.
    let recordsEnd = text.length - 1
    if (text.startsWith('"CommonAttributes":{', at)) {
      at += '"CommonAttributes":'.length
      const end = objectEnd(text, at)
      commonText = text.slice(at, end)
      if (text.charCodeAt(end) !== COMMA) return undefined
      at = end + 1
    } else if (text.endsWith('}}')) {
      // Without escapes, these quotes are those of a key. What it is the key of shows when the records end here.
      recordsEnd = text.lastIndexOf(',"CommonAttributes":{')
      commonText = text.slice(recordsEnd + ',"CommonAttributes":'.length, -1)
    }
    if (!text.startsWith('"Records":[', at)) return undefined
    const common = this.#commonOf(commonText)
    if (common === undefined) return undefined
    at += '"Records":['.length
    const records: ParsedRecord[] = []
    for (;;) {
      const record = this.#record(text, at, common)
      if (record === undefined || records.push(record) > LIMITS.recordsPerRequest) return undefined
      at = this.#at
      const code = text.charCodeAt(at++)
      if (code === COMMA) continue
      return code === BRACKET_CLOSE && at === recordsEnd && text.charCodeAt(text.length - 1) === BRACE_CLOSE
        ? records
        : undefined
    }
  }

  /** The bytes of the text when each character is one byte, so that a place in one is the place in the other. */
  #view: DataView | undefined
  /** Where the last step of reading ended. */
  #at = 0

  #record(text: string, from: number, common: CommonState): ParsedRecord | undefined {
    if (text.charCodeAt(from) !== BRACE_OPEN) return undefined
    const fields: Fields = {
      dimensions: undefined,
      measureName: common.measureName,
      type: common.type,
      unit: common.unit,
      time: common.time,
      version: common.version,
      value: undefined,
      measuresAt: -1,
    }
    this.#at = from + 1
    for (;;) {
      if (!this.#member(text, fields, common)) return undefined
      const code = text.charCodeAt(this.#at++)
      if (code === BRACE_CLOSE) break
      if (code !== COMMA) return undefined
    }
    return this.#finish(text, fields, common)
  }

  #member(text: string, fields: Fields, common: CommonState): boolean {
    const keyEnd = text.indexOf('":', this.#at)
    if (keyEnd < 0 || text.charCodeAt(this.#at) !== QUOTE) return false
    const key = text.slice(this.#at + 1, keyEnd)
    const at = keyEnd + 2
    if (key === 'Dimensions') return this.#dimensions(text, at, fields, common)
    if (key === 'MeasureValues') {
      if (fields.measuresAt >= 0) return false
      // Read when the unit is known; a list of measures has no brackets within, and what is read later must end there.
      fields.measuresAt = at
      this.#at = text.indexOf(']', at) + 1
      return this.#at > 0
    }
    if (key === 'Version') {
      VERSION.lastIndex = at
      const digits = VERSION.exec(text)?.[0]
      if (digits === undefined) return false
      fields.version = digits === '1' ? 1n : BigInt(digits)
      this.#at = at + digits.length
      return fields.version <= INT64_MAX
    }
    const end = text.indexOf('"', at + 1)
    if (end < 0 || text.charCodeAt(at) !== QUOTE) return false
    const value = text.slice(at + 1, end)
    this.#at = end + 1
    switch (key) {
      case 'Time':
        fields.time = value
        return true
      case 'MeasureName':
        fields.measureName = value
        return true
      case 'MeasureValue':
        fields.value = value
        return true
      case 'MeasureValueType':
        fields.type = value
        return true
      case 'TimeUnit':
        fields.unit = value
        return true
      default:
        return false
    }
  }

  #dimensions(text: string, from: number, fields: Fields, common: CommonState): boolean {
    this.#at = text.indexOf(']', from) + 1
    const list = text.slice(from, this.#at)
    let dimensions = common.known.get(list)
    if (dimensions === undefined) {
      dimensions = this.#newDimensions(list, common)
      if (dimensions === undefined) return false
      if (++this.#listCount > KNOWN_TEXTS) this.#forget()
      common.known.set(copyOf(list), dimensions)
    }
    fields.dimensions = dimensions
    return true
  }

  #newDimensions(list: string, common: CommonState): CheckedDimensions | undefined {
    const value = list === '' ? [] : parsed(list)
    if (!Array.isArray(value)) return undefined
    try {
      const own = readDimensions({ Dimensions: value as unknown }, '')
      const checked = checkDimensions(mergeDimensions(own, common.dimensions), 0, this.#known())
      return checked.limitProblem === undefined ? checked : undefined
    } catch {
      return undefined
    }
  }

  #finish(text: string, fields: Fields, common: CommonState): ParsedRecord | undefined {
    const end = this.#at
    const { type = 'DOUBLE', measureName = '', measuresAt, value, version } = fields
    const unit = (fields.unit ?? 'MILLISECONDS') as TimeUnit
    if (fields.dimensions === undefined && !this.#dimensions('', 0, fields, common)) return undefined
    this.#at = end
    const { dimensions } = fields
    const name = this.#measureName(measureName)
    if (dimensions === undefined || name === undefined || fields.time === undefined || !TIME_UNITS.includes(unit))
      return undefined
    const time = parseTime(fields.time, unit)
    if (time === undefined) return undefined
    const rest = TIME_BYTES + dimensions.bytes + name.bytes
    const head = { dimensions, measureName: name.name, time, version, limitProblem: undefined }
    if (type === 'MULTI') {
      if (value !== undefined || measuresAt < 0) return undefined
      const values = this.#measures(text, measuresAt, unit)
      const template = this.#templates[0]
      if (values === undefined || template === undefined) return undefined
      if (template.valueBytes > LIMITS.multiMeasureValuesBytes) return undefined
      if (rest + template.nameBytes + template.valueBytes > LIMITS.recordBytes) return undefined
      return { ...head, multi: true, names: template.names, types: template.types, values }
    }
    const single = SINGLE.get(type)
    if (single === undefined || value === undefined || measuresAt >= 0) return undefined
    const scanned = scanValue(single.type, value, unit)
    if (scanned === undefined || rest + valueBytes(single.type, value) > LIMITS.recordBytes) return undefined
    return { ...head, multi: false, names: single.names, types: single.types, values: [scanned] }
  }

  /** Reads a list of measures by the template that fits, which is the first one afterwards. */
  #measures(text: string, from: number, unit: TimeUnit): readonly Value[] | undefined {
    const templates = this.#templates
    const end = text.indexOf(']', from) + 1
    for (const [index, template] of templates.entries()) {
      const values = template.read(text, this.#view, from, unit)
      if (values === undefined || template.end !== end) continue
      if (index > 0) {
        templates.splice(index, 1)
        templates.unshift(template)
      }
      return values
    }
    const learnt = MeasureTemplate.learn(copyOf(text.slice(from, end)))
    if (learnt === undefined) return undefined
    if (templates.unshift(learnt) > KNOWN_TEMPLATES) templates.pop()
    const values = learnt.read(text, this.#view, from, unit)
    return learnt.end === end ? values : undefined
  }

  #measureName(text: string): { readonly name: string; readonly bytes: number } | undefined {
    let known = this.#measureNames.get(text)
    if (known === undefined) {
      if (reservedNameProblem('measure', text) ?? longNameProblem('measure', text)) return undefined
      const name = copyOf(text)
      // What JSON does not allow in a string, and what JSON.parse would therefore refuse.
      if (parsed(`"${name}"`) !== name) return undefined
      known = { name, bytes: byteLength(name) }
      if (this.#measureNames.size >= KNOWN_TEXTS) this.#measureNames.clear()
      this.#measureNames.set(name, known)
    }
    return known
  }

  #commonOf(text: string): CommonState | undefined {
    const before = this.#common.get(text)
    if (before !== undefined) return before
    const read = text === '' ? NOTHING_COMMON : readCommon(text)
    if (read === undefined) return undefined
    if (this.#common.size >= KNOWN_COMMON) this.#common.clear()
    const known = this.#lists.get(read.dimensions.key) ?? new Map<string, CheckedDimensions>()
    this.#lists.set(read.dimensions.key, known)
    const state = { ...read, known }
    this.#common.set(copyOf(text), state)
    return state
  }

  #forget(): void {
    for (const lists of this.#lists.values()) lists.clear()
    this.#lists.clear()
    this.#common.clear()
    this.#listCount = 0
  }
}

/** Names and types of single-measure records; one array each, so that a table recognizes them. */
const SINGLE: ReadonlyMap<
  string,
  { readonly type: ValueType; readonly names: readonly string[]; readonly types: readonly ValueType[] }
> = new Map(
  VALUE_TYPES.filter((type) => type !== 'TIMESTAMP').map((type) => [
    type,
    { type, names: [`measure_value::${type.toLowerCase()}`], types: [type] },
  ]),
)

/** Where the object that starts at `from` ends; there are no escapes in the text. */
function objectEnd(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = text.indexOf('"', at + 1)
      if (at < 0) return text.length
    } else if (code === BRACE_OPEN) {
      depth++
    } else if (code === BRACE_CLOSE && --depth === 0) {
      return at + 1
    }
  }
  return text.length
}

/** A string of its own: a part of a body would keep the whole body in memory. */
function copyOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}
