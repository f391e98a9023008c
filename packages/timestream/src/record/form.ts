import type { TimeUnit } from './values.ts'

/** What of a {@link Form} is a common attribute of a request, and is not said again by its records. */
export interface CommonForm {
  readonly measureName: boolean
  readonly type: boolean
  readonly unit: boolean
}

const NOTHING = new Uint8Array(0)

/** What most records of a stream share: all but series, values, time and version. */
export class Form {
  readonly measureName: string
  /** As it is sent; undefined leaves it to the common attributes of a `batchConverter`, or to the service. */
  readonly type: string | undefined
  readonly unit: TimeUnit
  readonly hasUnit: boolean
  readonly #rests: (Uint8Array | undefined)[] = []

  constructor(measureName: string, type: string | undefined, unit: TimeUnit, hasUnit: boolean) {
    this.measureName = measureName
    this.type = type
    this.unit = unit
    this.hasUnit = hasUnit
  }

  is(measureName: string, type: string | undefined, unit: TimeUnit, hasUnit: boolean): boolean {
    return this.measureName === measureName && this.type === type && this.unit === unit && this.hasUnit === hasUnit
  }

  /** JSON of what is not common, in UTF-8: `,"MeasureName":"cpu","MeasureValueType":"DOUBLE"`. */
  restOf(common: CommonForm): Uint8Array {
    const at = (common.measureName ? 1 : 0) + (common.type ? 2 : 0) + (common.unit ? 4 : 0)
    this.#rests[at] ??= this.#write(common)
    return this.#rests[at]
  }

  #write(common: CommonForm): Uint8Array {
    let json = ''
    if (!common.measureName) json += `,"MeasureName":${JSON.stringify(this.measureName)}`
    if (!common.type && this.type !== undefined) json += `,"MeasureValueType":${JSON.stringify(this.type)}`
    if (!common.unit && this.hasUnit) json += `,"TimeUnit":"${this.unit}"`
    // Of its own memory: a part of Node's pool would keep all of it.
    return json === '' ? NOTHING : new Uint8Array(Buffer.from(json))
  }
}

/** Names whose forms are remembered. */
const MAX_NAMES = 1000

/** Finds forms of sound records again. */
export class Forms {
  #last: Form | undefined
  /** By measure name: there are few of each. */
  readonly #forms = new Map<string, Form[]>()

  of(measureName: string, type: string | undefined, unit: TimeUnit, hasUnit: boolean): Form {
    if (this.#last?.is(measureName, type, unit, hasUnit) === true) return this.#last
    let forms = this.#forms.get(measureName)
    if (forms === undefined) {
      if (this.#forms.size >= MAX_NAMES) this.#forms.clear()
      forms = []
      this.#forms.set(measureName, forms)
    }
    let form = forms.find((known) => known.is(measureName, type, unit, hasUnit))
    if (form === undefined) {
      form = new Form(measureName, type, unit, hasUnit)
      forms.push(form)
    }
    this.#last = form
    return form
  }
}
