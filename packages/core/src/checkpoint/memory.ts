import type { Checkpoint, CheckpointStorage } from './storage.ts'

/**
 * Keeps the newest checkpoint of each job in memory: enough for restarts within the process, lost with it.
 *
 * @example
 * ```ts
 * start({ name: 'hosts', checkpoints: { storage: memoryCheckpoints() } })
 * ```
 */
export function memoryCheckpoints(): CheckpointStorage {
  const newest = new Map<string, Checkpoint>()
  return {
    open: (job) =>
      Promise.resolve({
        load: () => Promise.resolve(newest.get(job)),
        store: (checkpoint) => {
          newest.set(job, structuredClone(checkpoint))
          return Promise.resolve(0)
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  }
}
