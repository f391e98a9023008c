import type { Checkpoint } from '../checkpoint/storage.ts'
import { SluiceError } from '../errors.ts'
import type { RestoredSource, SourceSplit } from '../source/spi.ts'
import type { AnySource } from './plan.ts'

/**
 * The part of a checkpoint that belongs to the source.
 *
 * @param place - where the checkpoint is, for errors; undefined when the storage does not say.
 * @throws SluiceError `SLUICE_STATE_UNKNOWN_UID` when the checkpoint is of another pipeline, `SLUICE_STATE_NEWER`.
 */
export function restoredState(
  source: AnySource,
  checkpoint: Checkpoint | undefined,
  job: string,
  place: string | undefined,
): RestoredSource<SourceSplit, unknown> | undefined {
  if (checkpoint === undefined) return undefined
  const state = Object.hasOwn(checkpoint.sources, source.uid) ? checkpoint.sources[source.uid] : undefined
  const uids = Object.keys(checkpoint.sources)
  const named = place === undefined ? `the checkpoint ${checkpoint.id}` : `the checkpoint ${checkpoint.id} (${place})`
  const where = place === undefined ? {} : { place }
  if (checkpoint.job !== job || state === undefined || uids.length !== 1) {
    throw new SluiceError(
      'SLUICE_STATE_UNKNOWN_UID',
      `${named} is of job '${checkpoint.job}' with source(s) ${uids.map((uid) => `'${uid}'`).join(', ')}, but this is job '${job}' with source '${source.uid}': give the source its old uid, or start with another job name or place for checkpoints`,
      { facts: { ...where, checkpoint: checkpoint.id, job: checkpoint.job, uids } },
    )
  }
  if (state.stateVersion > source.stateVersion) {
    throw new SluiceError(
      'SLUICE_STATE_NEWER',
      `the state of source '${source.uid}' in ${named} has version ${state.stateVersion}, this version of the connector reads up to ${source.stateVersion}: upgrade it`,
      { facts: { ...where, uid: source.uid, stateVersion: state.stateVersion, readable: source.stateVersion } },
    )
  }
  return {
    stateVersion: state.stateVersion,
    enumerator: state.enumerator,
    // Where the host says which splits are ours, those of a checkpoint may be another's by now.
    splits: source.assignment === 'external' ? [] : (state.splits as readonly SourceSplit[]),
  }
}
