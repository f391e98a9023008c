import type { Figures } from '../figures.ts'

/** Moments at which a process may die, by what is under way. */
export const WINDOWS = [
  'fetch',
  'buffered',
  'in-flight',
  'applied-unanswered',
  'settled-before-store',
  'stored-before-ack',
] as const
export type Window = (typeof WINDOWS)[number]

/** The failpoint of core at which a window is reached. */
export const FAILPOINTS: Readonly<Partial<Record<Window, string>>> = {
  fetch: 'source:fetched',
  'settled-before-store': 'checkpoint:settled',
  'stored-before-ack': 'checkpoint:stored',
}

/** What is known of a process that died. */
export interface Evidence {
  readonly figures: Figures
  /** Writes that the gate held at the kill: not applied, and applied without their answer. */
  readonly held: number
  readonly unanswered: number
  /** The newest stored checkpoint when the process began, and when it was dead. */
  readonly checkpointBefore: number
  readonly checkpointAfter: number
}

/**
 * Which of the windows the process died in, from traces outside of it where there are any; undefined when in none, as with a
 * request on its way to the gate. `aim` decides where several are open at one time.
 */
export function windowOf(evidence: Evidence, aim: Window | 'random'): Window | undefined {
  const open = WINDOWS.filter((window) => isOpen(window, evidence))
  if (aim !== 'random' && open.includes(aim)) return aim
  const rarest: readonly Window[] = ['stored-before-ack', 'settled-before-store', 'applied-unanswered', 'in-flight']
  return rarest.find((window) => open.includes(window)) ?? open.at(-1)
}

function isOpen(window: Window, { figures, held, unanswered, checkpointBefore, checkpointAfter }: Evidence): boolean {
  const known = figures.lastCheckpointId === 0 ? checkpointBefore : figures.lastCheckpointId
  switch (window) {
    case 'fetch':
      return figures.fetched > figures.emitted
    case 'buffered':
      return figures.buffered > 0
    case 'in-flight':
      return held > 0
    case 'applied-unanswered':
      return unanswered > 0
    case 'settled-before-store':
      return figures.diedAt === FAILPOINTS[window] && checkpointAfter === known
    case 'stored-before-ack':
      return figures.diedAt === FAILPOINTS[window] && checkpointAfter > known
  }
}
