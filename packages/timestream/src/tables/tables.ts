import type { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import type { Clock, Logger } from '@sluice/core'
import { Control } from './control.ts'
import { describeTable, ensureTable, type TableId } from './ensure.ts'
import type { EnsureTable } from './settings.ts'
import { type RetentionWindow, windowOf } from './window.ts'

const RENEW_AFTER_MS = 600_000
const ASK_AGAIN_MS = 30_000

export interface TablesPlan {
  readonly ensure: EnsureTable | undefined
  readonly checksRetention: boolean
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds for one request, at most: a table is asked for anew after it. */
  readonly timeoutMs: number
  client(): TimestreamWriteClient
}

interface Known {
  readonly window: RetentionWindow | undefined
  /** When the retention is asked for again. */
  renewAt: number
}

/** What is to be known of a table before records are sent to it: that it exists, and how old they may be. */
export class Tables {
  readonly #plan: TablesPlan
  readonly #known = new Map<string, Known>()
  readonly #asking = new Map<string, Promise<Known>>()
  /** One table at a time: the service allows one change a second for the whole account. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(plan: TablesPlan) {
    this.#plan = plan
  }

  /** At once, if the table is known. @throws what {@link Control.ask} throws. */
  get(id: TableId): RetentionWindow | undefined | Promise<RetentionWindow | undefined> {
    const key = `${id.databaseName}/${id.tableName}`
    const known = this.#known.get(key)
    if (known === undefined) return this.#ask(key, id).then(({ window }) => window)
    const now = this.#plan.clock.now()
    if (this.#plan.checksRetention && now >= known.renewAt) {
      known.renewAt = now + ASK_AGAIN_MS
      this.#ask(key, id).catch(() => undefined)
    }
    return known.window
  }

  #ask(key: string, id: TableId): Promise<Known> {
    const asked = this.#asking.get(key)
    if (asked !== undefined) return asked
    const asking = this.#turn.then(() => this.#look(key, id)).finally(() => this.#asking.delete(key))
    this.#turn = asking.catch(() => undefined)
    this.#asking.set(key, asking)
    return asking
  }

  async #look(key: string, id: TableId): Promise<Known> {
    const { ensure, checksRetention, timeoutMs, clock, logger } = this.#plan
    const control = new Control(this.#plan.client(), clock, timeoutMs)
    const isKnown = this.#known.has(key)
    const table =
      ensure === undefined || isKnown
        ? await describeTable(control, id)
        : await ensureTable(control, id, ensure, logger)
    const window = checksRetention ? windowOf(table) : undefined
    const known: Known = { window, renewAt: clock.now() + RENEW_AFTER_MS }
    this.#known.set(key, known)
    return known
  }
}
