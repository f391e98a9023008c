import { decodeCheckpoint, encodeCheckpoint } from './format.ts'
import type { CheckpointStorage, EmittedHint } from './storage.ts'

/**
 * Keeps the newest checkpoint of each job in memory: enough for restarts within the process, lost with it. It is kept as the
 * bytes that a file would have, so that state which does not survive JSON shows at once.
 *
 * @example
 * ```ts
 * start({ name: 'hosts', checkpoints: { storage: memoryCheckpoints() } })
 * ```
 */
export function memoryCheckpoints(): CheckpointStorage {
  const newest = new Map<string, Buffer>()
  const hints = new Map<string, EmittedHint>()
  return {
    open: (job) =>
      Promise.resolve({
        load() {
          const bytes = newest.get(job)
          const decoded = bytes === undefined ? undefined : decodeCheckpoint(bytes, `of job '${job}' in memory`)
          return Promise.resolve(decoded !== undefined && 'checkpoint' in decoded ? decoded.checkpoint : undefined)
        },
        store(checkpoint) {
          const bytes = encodeCheckpoint(checkpoint)
          newest.set(job, bytes)
          return Promise.resolve(bytes.length)
        },
        storeHint(hint) {
          hints.set(job, hint)
          return Promise.resolve()
        },
        loadHint: () => Promise.resolve(hints.get(job)),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  }
}
