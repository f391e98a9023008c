import type { ActiveFault, Fault, FaultCount, FaultKind, FaultRule, RequestInfo } from './faults.ts'

/** One fault on its way to take effect. Exactly one of `fired` and `missed` is called. */
export interface TakenFault {
  readonly fault: Fault
  fired(): void
  missed(): void
}

type Counts = Record<FaultKind, { planned: number; fired: number }>

/** The rules of a proxy and what came of them. The first rule that wants a request, in the order of `add`, has it. */
export class FaultPlan {
  readonly #counts: Counts = {
    delayRequest: { planned: 0, fired: 0 },
    reset: { planned: 0, fired: 0 },
    cutBeforeApply: { planned: 0, fired: 0 },
    blackhole: { planned: 0, fired: 0 },
    respond: { planned: 0, fired: 0 },
    delayResponse: { planned: 0, fired: 0 },
    cutAfterApply: { planned: 0, fired: 0 },
    truncateResponse: { planned: 0, fired: 0 },
    blackholeAfterApply: { planned: 0, fired: 0 },
    resetAfterApply: { planned: 0, fired: 0 },
    respondAfterApply: { planned: 0, fired: 0 },
  }
  readonly #random: (() => number) | undefined
  #rules: PlannedRule[] = []

  constructor(random: (() => number) | undefined) {
    this.#random = random
  }

  /** @throws RangeError for a bad `times`, `probability` or `delayMs`, or a probability without a random function */
  add(rule: FaultRule): ActiveFault {
    checkRule(rule, this.#random !== undefined)
    const total = this.#counts[rule.kind]
    const planned: PlannedRule = new PlannedRule(rule, total, () => {
      this.#rules = this.#rules.filter((other) => other !== planned)
    })
    this.#rules.push(planned)
    return planned
  }

  clear(): void {
    for (const rule of this.#rules) rule.remove()
  }

  /** The fault of the first rule that wants this request; undefined lets it pass. */
  take(request: RequestInfo): TakenFault | undefined {
    return this.#rules.find((rule) => rule.wants(request, this.#random))?.take()
  }

  /** A fault that a hook chose. */
  chosen(fault: Fault): TakenFault {
    const total = this.#counts[fault.kind]
    total.planned += 1
    return {
      fault,
      fired: () => {
        total.fired += 1
      },
      missed: () => {},
    }
  }

  counts(): Readonly<Record<FaultKind, FaultCount>> {
    return structuredClone(this.#counts)
  }
}

class PlannedRule implements ActiveFault {
  readonly #rule: FaultRule
  readonly #total: { planned: number; fired: number }
  readonly #onRemove: () => void
  #planned: number
  #taken = 0
  #fired = 0

  constructor(rule: FaultRule, total: { planned: number; fired: number }, onRemove: () => void) {
    this.#rule = rule
    this.#total = total
    this.#onRemove = onRemove
    this.#planned = rule.times ?? 0
    total.planned += this.#planned
  }

  get planned(): number {
    return this.#planned
  }

  get fired(): number {
    return this.#fired
  }

  wants(request: RequestInfo, random: (() => number) | undefined): boolean {
    const { times, match, probability } = this.#rule
    if (times !== undefined && this.#taken >= times) return false
    if (match !== undefined && !match(request)) return false
    return probability === undefined || random === undefined || random() < probability
  }

  take(): TakenFault {
    this.#taken += 1
    if (this.#rule.times === undefined) this.#plan(1)
    return {
      fault: this.#rule,
      fired: () => {
        this.#fired += 1
        this.#total.fired += 1
      },
      missed: () => {
        if (this.#rule.times !== undefined) this.#taken -= 1
      },
    }
  }

  remove(): void {
    this.#onRemove()
    if (this.#planned > this.#taken) this.#plan(this.#taken - this.#planned)
  }

  #plan(change: number): void {
    this.#planned += change
    this.#total.planned += change
  }
}

function checkRule(rule: FaultRule, hasRandom: boolean): void {
  const problems: string[] = []
  const { times, probability } = rule
  if (times !== undefined && !(Number.isInteger(times) && times >= 1)) {
    problems.push(`times must be a whole number from 1, and is ${times}`)
  }
  if (probability !== undefined && !(probability >= 0 && probability <= 1)) {
    problems.push(`probability must be from 0 to 1, and is ${probability}`)
  }
  if (probability !== undefined && !hasRandom) {
    problems.push('probability needs the proxy option `random`, a seeded function, so that a run can be repeated')
  }
  if ('delayMs' in rule && !(rule.delayMs >= 0 && Number.isFinite(rule.delayMs))) {
    problems.push(`delayMs must be a number from 0, and is ${rule.delayMs}`)
  }
  if (problems.length > 0) throw new RangeError(`fault ${rule.kind}: ${problems.join('; ')}`)
}
