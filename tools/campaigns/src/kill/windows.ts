import type { PipelineDefinition } from '../campaign.ts'
import type { Figures } from '../figures.ts'

type PositionAuthority = PipelineDefinition['positionAuthority']

/** Moments at which a process may die, by what is under way, wherever positions are kept. */
export const COMMON_WINDOWS = [
  'fetch',
  'buffered',
  'in-flight',
  'applied-unanswered',
  'settled-before-store',
  'stored-before-ack',
] as const

/** Every window. */
export const WINDOWS = [...COMMON_WINDOWS, 'during-ack'] as const
export type Window = (typeof WINDOWS)[number]

/** The windows that exist: where the position is kept in checkpoints alone there is nothing to acknowledge. */
export function windowsOf(authority: PositionAuthority): readonly Window[] {
  return authority === 'external' ? WINDOWS : COMMON_WINDOWS
}

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
  /** Where the source's service keeps the positions. */
  readonly external?: ExternalEvidence
}

export interface ExternalEvidence {
  /** Records that the store had and that were not acknowledged. */
  readonly storedUnacknowledged: number
  /** Requests that acknowledge, of which some were applied and this one's answer was held at the kill. */
  readonly unanswered: number
}

/**
 * Which of the windows the process died in, from traces outside of it where there are any; undefined when in none, as with a
 * request on its way to the gate. `aim` decides where several are open at one time.
 */
export function windowOf(evidence: Evidence, aim: Window | 'random'): Window | undefined {
  const open = WINDOWS.filter((window) => OPEN[window](evidence))
  if (aim !== 'random' && open.includes(aim)) return aim
  const rarest: readonly Window[] = [
    'during-ack',
    'stored-before-ack',
    'settled-before-store',
    'applied-unanswered',
    'in-flight',
  ]
  return rarest.find((window) => open.includes(window)) ?? open.at(-1)
}

/** Whether a process may be said to have died in the window. */
const OPEN: Readonly<Record<Window, (evidence: Evidence) => boolean>> = {
  fetch: ({ figures }) => figures.fetched > figures.emitted,
  buffered: ({ figures }) => figures.buffered > 0,
  'in-flight': ({ held }) => held > 0,
  'applied-unanswered': ({ unanswered }) => unanswered > 0,
  'settled-before-store': (evidence) =>
    evidence.figures.diedAt === FAILPOINTS['settled-before-store'] &&
    (evidence.external?.storedUnacknowledged ?? 1) > 0 &&
    checkpointsOfTheDead(evidence) === 0,
  'stored-before-ack': (evidence) =>
    evidence.figures.diedAt === FAILPOINTS['stored-before-ack'] &&
    (evidence.external === undefined ? checkpointsOfTheDead(evidence) > 0 : evidence.external.storedUnacknowledged > 0),
  'during-ack': ({ external }) => (external?.unanswered ?? 0) > 0,
}

/** Checkpoints on disk that the process did not live to know of. */
function checkpointsOfTheDead({ figures, checkpointBefore, checkpointAfter, external }: Evidence): number {
  // There are none on disk.
  if (external !== undefined) return 0
  return checkpointAfter - (figures.lastCheckpointId === 0 ? checkpointBefore : figures.lastCheckpointId)
}
