import type { FileLogEvent } from '../pipelines/file-log-settings.ts'

const OWNED = 'SLUICE_STATE_OWNED'
const FENCED = 'SLUICE_STATE_FENCED'

/** What one process said, in order. */
export function saidBy(events: readonly FileLogEvent[], process: number): readonly FileLogEvent[] {
  return events.filter((event) => event.process === process)
}

/** Of processes that start on a folder whose owner lives, or that start at one moment: how many may own it. */
export function brokenStarts(
  events: readonly FileLogEvent[],
  processes: readonly number[],
  allowed: number,
): readonly string[] {
  const broken: string[] = []
  const owners = processes.filter((process) => saidBy(events, process).some(({ what }) => what === 'owned'))
  if (owners.length !== allowed)
    broken.push(`${owners.length} of ${processes.length} starters own the folder, not ${allowed}`)
  for (const process of processes) {
    const end = saidBy(events, process).find(({ what }) => what === 'ended')
    if (!owners.includes(process) && end?.code !== OWNED) {
      broken.push(`starter ${process} was refused with ${end?.code ?? 'nothing'}, not with ${OWNED}`)
    }
  }
  return broken
}

/**
 * Of an owner that was overtaken and went on: it must have ended as such, and what it stored or acknowledged after that must be
 * what the new owner had loaded, or older. Whether it said so before the other's first word or after it does not matter: it may
 * have been stopped between a store that was in time and its note.
 */
export function brokenStale(events: readonly FileLogEvent[], stale: number, taker: number): readonly string[] {
  const broken: string[] = []
  const end = saidBy(events, stale).find(({ what }) => what === 'ended')
  if (end?.code !== FENCED)
    broken.push(`the owner that was overtaken ended with ${end?.code ?? 'nothing'}, not with ${FENCED}`)
  const loaded = saidBy(events, taker).find(({ what }) => what === 'owned')?.id
  if (loaded === undefined) return [...broken, 'nobody took the place of the owner that was stopped']
  const late = saidBy(events, stale).filter(
    ({ what, id = 0 }) => (what === 'stored' || what === 'acknowledged') && id > loaded,
  )
  const [first] = late
  if (first !== undefined) {
    broken.push(
      `the owner that was overtaken has ${first.what} checkpoint ${first.id}, and ${late.length - 1} times more, although the new one had loaded ${loaded}`,
    )
  }
  return broken
}
