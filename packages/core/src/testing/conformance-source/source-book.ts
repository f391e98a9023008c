import type { RecordBatch, SourceSplit } from '../../source/spi.ts'
import type { Emitted } from './emitted.ts'
import type { Life } from './life.ts'
import type { SourceAbilities, SourceRecord, SourceService } from './subject.ts'

/** Where the kit put a record. */
interface Put {
  readonly record: SourceRecord
  readonly splitId: string
  /** Index among the records of its split. */
  readonly index: number
}

/** What is in the service, what was emitted of it, and what may be acknowledged. */
export class SourceBook {
  readonly violations: string[] = []
  /** Records may be skipped or repeated in this case: where positions are lost. */
  mayJump = false
  readonly #abilities: SourceAbilities
  readonly #service: SourceService<unknown>
  readonly #put = new Map<string, Put>()
  readonly #counts = new Map<string, number>()
  /** Ids that were handed over to be acknowledged. */
  readonly #allowed = new Set<string>()
  /** Records of a split that may lie before its committed position. */
  readonly #allowedPrefix = new Map<string, number>()
  readonly #committed = new Map<string, number>()
  readonly #snapshots = new WeakMap<Life, Map<number, ReadonlyMap<string, number>>>()
  readonly #emittedUpTo = new WeakMap<Life, Map<string, number>>()

  constructor(abilities: SourceAbilities, service: SourceService<unknown>) {
    this.#abilities = abilities
    this.#service = service
  }

  put(splitId: string, record: SourceRecord): void {
    const index = this.#counts.get(splitId) ?? 0
    this.#counts.set(splitId, index + 1)
    this.#put.set(record.id, { record, splitId, index })
  }

  /** Index of a record among those of its split. */
  indexOf(id: string): number {
    return this.#put.get(id)?.index ?? Number.NaN
  }

  /** What is emitted, by its id: also that of a record which cannot be decoded. */
  recordOf(batch: RecordBatch<unknown>, index: number, before: SourceSplit | undefined): Emitted {
    const undecodable = batch.decodeErrors?.has(index) === true
    const id = undecodable ? this.#rawIdOf(batch, index) : this.#service.idOf(batch.values[index])
    const put = this.#put.get(id)
    if (put === undefined) this.#violation(`a record was emitted that nobody put: ${id}`)
    if (put !== undefined && put.record.undecodable !== undecodable) {
      this.#violation(
        `${id} ${undecodable ? 'has a decode error and can be decoded' : 'cannot be decoded and has no decode error'}`,
      )
    }
    return {
      id,
      splitId: batch.splitId,
      batch,
      index,
      before,
      receipt: batch.receipts?.[index],
      group: batch.groups?.[index],
      undecodable,
      state: 'inHand',
      acknowledged: false,
      gone: false,
    }
  }

  /** Records of a split come in their order, none twice and none left out, from where the life began. */
  noteEmission(life: Life, { id, splitId }: Emitted): void {
    const put = this.#put.get(id)
    if (put === undefined || this.#abilities.acknowledgement === 'individual') return
    if (put.splitId !== splitId) this.#violation(`${id} of split '${put.splitId}' was emitted as of '${splitId}'`)
    const upTo = this.#upTo(life)
    const expected = upTo.get(splitId)
    if (expected !== undefined && expected !== put.index && !this.mayJump) {
      this.#violation(`split '${splitId}' goes on with record ${put.index} after record ${expected - 1}`)
    }
    upTo.set(splitId, put.index + 1)
  }

  /** The split is nobody's: when it comes back it may go on elsewhere. */
  resume(life: Life, splitId: string): void {
    this.#upTo(life).delete(splitId)
  }

  noteSnapshot(life: Life, id: number): void {
    const snapshots = this.#snapshots.get(life) ?? new Map<number, ReadonlyMap<string, number>>()
    snapshots.set(id, new Map(this.#upTo(life)))
    this.#snapshots.set(life, snapshots)
  }

  /** A checkpoint is stored: positions up to it may be acknowledged. */
  allowSnapshot(life: Life, id: number): void {
    for (const [splitId, count] of this.#snapshots.get(life)?.get(id) ?? []) {
      if (life.released.has(splitId)) continue
      this.#allowedPrefix.set(splitId, Math.max(count, this.#allowedPrefix.get(splitId) ?? 0))
    }
  }

  allow(records: readonly Emitted[]): void {
    for (const { id } of records) this.#allowed.add(id)
  }

  allowPrefix(splitId: string, settled: readonly Emitted[]): void {
    const counts = settled.map(({ id }) => this.indexOf(id) + 1)
    this.#allowedPrefix.set(splitId, Math.max(0, ...counts, this.#allowedPrefix.get(splitId) ?? 0))
  }

  /** Where the splits begin may be committed before anything is read. */
  begin(): void {
    for (const splitId of this.#service.splitIds) {
      const committed = this.#service.committed?.(splitId) ?? 0
      this.#allowedPrefix.set(splitId, Math.max(committed, this.#allowedPrefix.get(splitId) ?? 0))
      this.#committed.set(splitId, committed)
    }
  }

  /** Compares what the service was told with what it might be. */
  check(): void {
    const acknowledged = this.#service.acknowledged?.() ?? []
    for (const id of acknowledged) {
      if (!this.#allowed.has(id)) this.#violation(`${id} was acknowledged, and nothing had allowed it`)
    }
    if (this.#service.committed === undefined) return
    for (const splitId of this.#service.splitIds) {
      const committed = this.#service.committed(splitId)
      const allowed = this.#allowedPrefix.get(splitId) ?? 0
      if (committed > allowed) {
        this.#violation(`${committed} records of split '${splitId}' were acknowledged, and only ${allowed} might be`)
      }
      const last = this.#committed.get(splitId) ?? 0
      if (committed < last) this.#violation(`the position of split '${splitId}' went back from ${last} to ${committed}`)
      this.#committed.set(splitId, committed)
    }
  }

  #upTo(life: Life): Map<string, number> {
    const upTo = this.#emittedUpTo.get(life) ?? new Map<string, number>()
    this.#emittedUpTo.set(life, upTo)
    return upTo
  }

  #rawIdOf(batch: RecordBatch<unknown>, index: number): string {
    const raw = Buffer.from(batch.raw(index)?.bytes ?? []).toString('latin1')
    const found = [...this.#put.values()].find(({ record }) => record.undecodable && raw.includes(record.id))
    return found?.record.id ?? `an undecodable record with the bytes '${raw.slice(0, 80)}'`
  }

  #violation(text: string): void {
    if (!this.violations.includes(text)) this.violations.push(text)
  }
}
