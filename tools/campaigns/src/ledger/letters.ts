import type { DeadLetter } from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import { identityOf } from './repeats.ts'

/** Dead letters by the record that they are about; of one record there may be more, all with one id. */
export function lettersByRecord(letters: readonly DeadLetter[]): ReadonlyMap<string, DeadLetter> {
  return new Map(letters.map((letter) => [identityOf(recordOf(letter)), letter]))
}

export function recordsOf(letters: ReadonlyMap<string, DeadLetter>): readonly GeneratedRecord[] {
  return [...letters.values()].map(recordOf)
}

/** Letters that do not say what they are about. */
export function silentLetters(letters: readonly DeadLetter[]): readonly string[] {
  const silent = letters.filter(({ reason, raw }) => reason.message === '' || raw === null).length
  return silent === 0 ? [] : [`${silent} dead letters are without a reason, or without what was refused`]
}

/** Letters by stage and code. */
export function reasonsOf(letters: readonly DeadLetter[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { stage, reason } of letters) {
    const name = `${stage} ${reason.code}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

/** The record of a letter, from the bytes that its source gave. */
function recordOf({ raw }: DeadLetter): GeneratedRecord {
  const record: GeneratedRecord = JSON.parse(Buffer.from(raw ?? '', 'base64').toString() || '{}')
  return record
}
