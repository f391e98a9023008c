import {
  delay,
  type EnumeratorContext,
  type ReaderContext,
  SluiceError,
  type Source,
  SPI_VERSION,
  type SplitEnumerator,
} from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import type { MemoryClient } from './client.ts'
import { LogReader, type LogSplit } from './prefix-source.ts'

const POLL_INTERVAL_MS = 40
/** A revoked split is given back within this. */
const REVOKE_DEADLINE_MS = 1_000

/** The log, shared by a group that keeps the positions. */
export class MemoryGroupSource implements Source<GeneratedRecord, LogSplit, null> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid = 'memory'
  readonly stateVersion: number = 1
  readonly acknowledgement = 'prefix' as const
  readonly assignment = 'external' as const
  readonly positionAuthority = 'external' as const
  readonly #client: MemoryClient
  /** Of the attempt under way. */
  #membership: Membership | undefined
  #members = 0

  constructor(client: MemoryClient) {
    this.#client = client
  }

  createEnumerator(context: EnumeratorContext<LogSplit>): SplitEnumerator<null> {
    this.#membership = new Membership(context, this.#client, `${process.pid}-${++this.#members}`)
    return this.#membership
  }

  createReader(context: ReaderContext): GroupReader {
    if (this.#membership === undefined) throw new Error('a reader was made before its enumerator')
    return new GroupReader(context, this.#client, this.#membership)
  }
}

/** One member of the group: hears what is assigned and revoked. */
class Membership implements SplitEnumerator<null> {
  readonly memberId: string
  generation = 0
  readonly #context: EnumeratorContext<LogSplit>
  readonly #client: MemoryClient
  readonly #owned = new Set<string>()
  #polling: Promise<void> = Promise.resolve()
  #released: readonly string[] = []

  constructor(context: EnumeratorContext<LogSplit>, client: MemoryClient, memberId: string) {
    this.#context = context
    this.#client = client
    this.memberId = memberId
  }

  async start(): Promise<void> {
    await this.#poll()
    this.#polling = this.#run()
  }

  splitFinished(): void {}

  snapshotState(): null {
    return null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#polling
    await this.#client.post('/group/leave', { memberId: this.memberId })
  }

  async #run(): Promise<void> {
    const { clock, signal } = this.#context
    try {
      while (!signal.aborted) {
        await delay(clock, POLL_INTERVAL_MS, signal)
        if (!signal.aborted) await this.#poll()
      }
    } catch (error) {
      if (!signal.aborted) this.#context.fail(SluiceError.from(error, 'SLUICE_SOURCE_FAILED', 'the group'))
    }
  }

  async #poll(): Promise<void> {
    const { signal } = this.#context
    const released = this.#released
    const request = { memberId: this.memberId, owned: [...this.#owned], released }
    const { generation, assign, revoke, lost } = await this.#client.read('/group/poll', request, signal)
    this.generation = generation
    this.#released = []
    for (const { splitId, next } of assign) {
      this.#owned.add(splitId)
      this.#context.assign([{ splitId, next }], this.#owned.size % this.#context.parallelism)
    }
    await this.#release(lost, 'lost')
    this.#released = await this.#release(revoke, 'revoked')
  }

  async #release(splitIds: readonly string[], how: 'lost' | 'revoked'): Promise<readonly string[]> {
    if (splitIds.length === 0) return []
    await this.#context.release(splitIds, how, REVOKE_DEADLINE_MS)
    for (const splitId of splitIds) this.#owned.delete(splitId)
    return splitIds
  }
}

class GroupReader extends LogReader {
  readonly #membership: Membership

  constructor(context: ReaderContext, client: MemoryClient, membership: Membership) {
    super(context, client)
    this.#membership = membership
  }

  /** A request for each split: a death in between leaves some of them committed. */
  protected override async commit(splits: readonly LogSplit[], signal: AbortSignal): Promise<void> {
    for (const { splitId, next } of splits) {
      const { memberId, generation } = this.#membership
      await this.client.post('/group/commit', { memberId, generation, splitId, next }, signal)
    }
  }
}
