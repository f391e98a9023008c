import { type LedgerEntry, payloadHash } from '@sluice/core/testing'
import type { Arrival, Coverage, ProducedRecord } from '../src/campaign.ts'
import type { Figures } from '../src/figures.ts'
import type { KillRecord } from '../src/kill/record.ts'
import type { Window } from '../src/kill/windows.ts'

export const IDLE: Figures = {
  ordinal: 1,
  attempt: 1,
  state: 'running',
  fetched: 0,
  emitted: 0,
  unsettled: 0,
  repeatable: 0,
  buffered: 0,
  inFlight: 0,
  completed: 0,
  advanced: 0,
  lastCheckpointId: 0,
  dropped: 0,
  returned: 0,
  abandoned: 0,
  deadLettered: 0,
  wallMs: 0,
  diedAt: '',
}

export function entry(sequence: number, key = 'a'): LedgerEntry {
  return { source: 'test', key, sequence, hash: payloadHash(`${key} ${sequence}`) }
}

/** Sequence numbers of the ledger are those of the only split. */
export function produced(sequence: number): ProducedRecord {
  return { ...entry(sequence), position: { splitId: 'split', sequenceNumber: String(sequence) } }
}

export function arrival(sequence: number, atNs: number, more: Partial<Arrival> = {}): Arrival {
  return {
    entry: entry(sequence),
    outcome: 'stored',
    conflict: false,
    requestId: `request at ${atNs}`,
    atNs: BigInt(atNs),
    ...more,
  }
}

export function coveredUpTo(sequence: number): Coverage {
  return { checkpointId: sequence, covers: (position) => Number(position.sequenceNumber) <= sequence }
}

export function kill(number: number, window: Window | undefined, more: Partial<KillRecord> = {}): KillRecord {
  return {
    number,
    aim: window ?? 'random',
    window,
    figures: { ...IDLE, emitted: 20, unsettled: 5, repeatable: 10, completed: 2, advanced: 1 },
    repeatable: 10,
    coverage: coveredUpTo(0),
    coveredButMissing: 0,
    firstWriteAtNs: BigInt(number) * 100n,
    lifeMs: 1000,
    ...more,
  }
}
