import { payloadHash } from '@sluice/core/testing'
import type { Arrival, GeneratedRecord } from '../campaign.ts'
import { ledgerPayload } from '../ledger/generator.ts'
import type { WriteGate } from '../write-gate.ts'
import type { Reply, Sender } from './server.ts'

/** A store that keeps a journal of every write that it took. */
export class MemoryStore {
  readonly journal: Arrival[] = []
  readonly #gate: WriteGate
  readonly #held = new Map<string, string>()
  #requests = 0

  constructor(gate: WriteGate) {
    this.#gate = gate
  }

  async write(records: readonly GeneratedRecord[], sender: Sender): Promise<Reply<'/store/write'>> {
    if (!(await this.#gate.beforeApply()) || sender.isGone) return 'cut'
    const requestId = `write-${++this.#requests}`
    for (const record of records) this.#apply(record, requestId)
    return (await this.#gate.beforeAnswer()) ? { answer: {} } : 'cut'
  }

  #apply(record: GeneratedRecord, requestId: string): void {
    const { source, key, sequence, timeMs, payload } = record
    const hash = payloadHash(ledgerPayload(payload, timeMs))
    const id = `${key} ${timeMs}`
    const held = this.#held.get(id)
    this.#held.set(id, hash)
    this.journal.push({
      // What the record says of itself and what it is must agree; if not, it is a record that was never produced.
      entry: { source, key, sequence, hash: hash === record.hash ? hash : `${hash} instead of ${record.hash}` },
      outcome: 'stored',
      conflict: held !== undefined && held !== hash,
      requestId,
      atNs: process.hrtime.bigint(),
    })
  }
}
