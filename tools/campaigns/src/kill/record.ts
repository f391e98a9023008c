import type { Coverage } from '../campaign.ts'
import type { Figures } from '../figures.ts'
import type { Window } from './windows.ts'

/** What is known of one kill. */
export interface KillRecord {
  readonly number: number
  readonly aim: Window | 'random'
  /** Where it landed; undefined when it was in none of the windows. */
  readonly window: Window | undefined
  readonly figures: Figures
  readonly coverage: Coverage
  /** Records that the next process may repeat: emitted, and neither covered by a completed checkpoint nor acknowledged. */
  readonly repeatable: number
  /** Records that the checkpoint, or what was acknowledged, covered at the kill and the store did not hold. */
  readonly coveredButMissing: number
  readonly firstWriteAtNs: bigint | undefined
  readonly lifeMs: number
}

/** A random kill lands wherever it comes; an aimed one only in its window. */
export function landed({ aim, window, figures }: KillRecord): boolean {
  return aim === 'random' ? figures.ordinal > 0 : window === aim
}

/** The line that is printed when the kill has come. */
export function describeKill(kill: KillRecord, of: number): string {
  const { number, aim, window, figures, repeatable, lifeMs } = kill
  const { unsettled, buffered, inFlight, fetched, emitted, advanced } = figures
  const where = window ?? 'between the windows'
  const how = aim === 'random' ? 'random' : window === aim ? 'aimed' : `aimed at ${aim}`
  return (
    `kill ${number}/${of} ${where} (${how}): unsettled ${unsettled} (buffered ${buffered}, in flight ${inFlight}), ` +
    `fetched and not emitted ${fetched - emitted}, repeatable ${repeatable}, ` +
    `checkpoints ${advanced}, after ${(lifeMs / 1000).toFixed(1)} s`
  )
}
