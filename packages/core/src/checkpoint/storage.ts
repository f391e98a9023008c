import type { Logger } from '../logger.ts'

/** What one source needs to go on: plain JSON. */
export interface SourceState {
  readonly stateVersion: number
  readonly enumerator: unknown
  /** One flat list, whatever the parallelism was. */
  readonly splits: readonly unknown[]
}

/** What a job restores from. */
export interface Checkpoint {
  /** Rises by one with every checkpoint of a job, over restarts. */
  readonly id: number
  readonly job: string
  readonly createdAtMs: number
  readonly sources: Readonly<Record<string, SourceState>>
}

/** How far records were emitted after a checkpoint: which of them a restart may repeat. A hint that may be old or missing. */
export interface EmittedHint {
  /** The checkpoint that was the newest when it was noted. */
  readonly checkpointId: number
  /** By split, inputs emitted since the barrier of that checkpoint. */
  readonly emitted: Readonly<Record<string, number>>
}

/** Where checkpoints of a job are kept. Made by {@link fileCheckpoints} or {@link memoryCheckpoints}. */
export interface CheckpointStorage {
  /**
   * Takes the job's checkpoints over for one owner.
   *
   * @throws SluiceError `SLUICE_STATE_OWNED` when another live process has them, `SLUICE_STATE_STORAGE` when they cannot be reached.
   */
  open(job: string, logger: Logger): Promise<CheckpointStore>
}

/** The checkpoints of one job, for one owner, until it is disposed. */
export interface CheckpointStore extends AsyncDisposable {
  /** Where the checkpoint is that `load()` returned last, for errors: a path or an address. */
  readonly loadedFrom?: string | undefined
  /**
   * The newest checkpoint that is whole; undefined if there was never one.
   *
   * @throws SluiceError `SLUICE_STATE_CORRUPTED` when there are checkpoints and none is whole, `SLUICE_STATE_NEWER`.
   */
  load(): Promise<Checkpoint | undefined>
  /**
   * Resolves when the checkpoint is durable. Calls are made one after the other, with rising ids.
   *
   * @returns its size in bytes.
   * @throws SluiceError `SLUICE_STATE_STORAGE`, `SLUICE_STATE_FENCED` when another owner took over.
   */
  store(checkpoint: Checkpoint): Promise<number>
  /** Keeps a hint beside the checkpoints, at most once a second; it need not be durable. Without it no repeat is recognised. */
  storeHint?(hint: EmittedHint): Promise<void>
  /** The hint that was kept last; undefined if there is none that can be read. */
  loadHint?(): Promise<EmittedHint | undefined>
}
