/**
 * Names in the folder of a job. A *token* counts the owners that the folder has had: it is part of the owner's name and of the
 * name of every checkpoint that the owner stores, so that what an owner of before stores late is never the newest.
 */

const OWNER = /^owner-(\d{1,15})$/
const CHECKPOINT = /^checkpoint-(\d{8,15})-(\d{12,16})\.json$/
/** Before there were tokens: names of token 0. */
const FIRST_OWNER = 'owner.sock'
const FIRST_CHECKPOINT = /^checkpoint-(\d{12,16})\.json$/

/** Lies aside until it is complete. */
export const PART = '.part'

/** A checkpoint file, by its name. */
export interface CheckpointName {
  readonly name: string
  readonly token: number
  readonly id: number
}

export function ownerName(token: number): string {
  return token === 0 ? FIRST_OWNER : `owner-${token}`
}

export function checkpointName(token: number, id: number): string {
  return `checkpoint-${String(token).padStart(8, '0')}-${String(id).padStart(12, '0')}.json`
}

/** Undefined for any other file. */
export function ownerToken(name: string): number | undefined {
  if (name === FIRST_OWNER) return 0
  const match = OWNER.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Undefined for any other file. */
export function parseCheckpointName(name: string): CheckpointName | undefined {
  const first = FIRST_CHECKPOINT.exec(name)
  if (first !== null) return { name, token: 0, id: Number(first[1]) }
  const match = CHECKPOINT.exec(name)
  return match === null ? undefined : { name, token: Number(match[1]), id: Number(match[2]) }
}

/** Oldest first: what a later owner stored is newer, whatever the ids are. */
export function checkpointNames(names: readonly string[]): CheckpointName[] {
  return names.flatMap((name) => parseCheckpointName(name) ?? []).toSorted((a, b) => a.token - b.token || a.id - b.id)
}

/** The highest token that the folder shows. */
export function newestToken(names: readonly string[]): number {
  const ofOwners = names.flatMap((name) => ownerToken(name) ?? [])
  const ofCheckpoints = names.flatMap((name) => parseCheckpointName(name.replace(PART, ''))?.token ?? [])
  return Math.max(0, ...ofOwners, ...ofCheckpoints)
}
