import { type Checkpoint, type CheckpointStore, type Clock, type Logger, silentLogger, systemClock } from '@sluice/core'

import { expect } from 'vitest'

import { s3Storage, type S3CheckpointsOptions } from '../../src/s3/storage.ts'
import type { MemoryS3 } from './memory-s3.ts'

/** A checkpoint that can be told from every other by its label. */
export function checkpoint(id: number, label: unknown = `state ${id}`): Checkpoint {
  return { id, job: 'hosts', createdAtMs: id, sources: { s: { stateVersion: 1, enumerator: null, splits: [label] } } }
}

export function labelOf(restored: Checkpoint | undefined): unknown {
  return restored?.sources['s']?.splits[0]
}

export interface OpenOptions extends Partial<S3CheckpointsOptions> {
  readonly clock?: Clock
  readonly logger?: Logger
}

export function open(s3: MemoryS3, options: OpenOptions = {}): Promise<CheckpointStore> {
  const { clock = systemClock, logger = silentLogger, ...rest } = options
  const storage = s3Storage({ bucket: s3.bucket, client: s3.sender, ...rest }, { clock, random: () => 0.5 })
  return storage.open('hosts', logger)
}

/** The names of the objects, when there are so many: old ones go after a store has ended. */
export async function namesWhen(s3: MemoryS3, count: number): Promise<readonly string[]> {
  await expect.poll(() => s3.names, { timeout: 30_000 }).toHaveLength(count)
  return s3.names
}

/** What was warned of. */
export function warnings(): { logger: Logger; warned: [object, string][] } {
  const warned: [object, string][] = []
  const logger = { ...silentLogger, warn: (facts: object, text: string) => void warned.push([facts, text]) }
  return { logger, warned }
}

/** What an owner is called whose record a test makes itself. */
export function checkpointKey(token: number, id: number, folder = 'hosts'): string {
  return `${folder}/checkpoint-${String(token).padStart(8, '0')}-${String(id).padStart(12, '0')}.json`
}
