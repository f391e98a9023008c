import { type Clock, type Logger, OptionsCheck, silentLogger } from '@sluice/core'
import { checkLoggerAndClock } from '@sluice/core/internal'
import type { RemoteWriteClient } from './client.ts'
import { checkRemoteWrite, type RemoteWriteClientOptions } from './client-options.ts'
import { backgroundClock, MAX_DELAY_MS, PushTarget } from './push-client.ts'
import { LABEL_NAME, type MetricsRegistry } from './push-collection.ts'
import type { LabelPair } from './push-series.ts'

/** Options of {@link pushRegistry}. */
export interface PushRegistryOptions {
  /** Writes the series. It stays open when the push is closed. Give this or `remoteWrite`. */
  readonly client?: RemoteWriteClient
  /** Options of a client that the push makes, makes anew when it has failed, and closes. Give this or `client`. */
  readonly remoteWrite?: RemoteWriteClientOptions
  /** Milliseconds from the beginning of a collection to that of the next, 100 at least. @default 15000 */
  readonly intervalMs?: number
  /** Milliseconds that the `collect` functions of the registry may take for one collection. @default 10000 */
  readonly collectTimeoutMs?: number
  /** Labels of each series that does not have them itself, such as `job` and `instance`. @default none */
  readonly labels?: Readonly<Record<string, string>>
  /** Whether `close` ends every series with a stale marker, so that it is not shown for five minutes more. @default false */
  readonly staleMarkersOnClose?: boolean
  /** Milliseconds after which `close` gives up what is not written. @default 10000 */
  readonly closeDeadlineMs?: number
  /** Is told what fails. @default nobody */
  readonly logger?: Logger
  /** @default the time of the process, with timers that do not keep it alive */
  readonly clock?: Clock
}

/** What a push works with. */
export interface PushPlan {
  readonly target: PushTarget
  readonly intervalMs: number
  readonly collectTimeoutMs: number
  readonly labels: readonly LabelPair[]
  readonly staleMarkersOnClose: boolean
  readonly closeDeadlineMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function pushPlan(registry: MetricsRegistry, options: PushRegistryOptions): PushPlan {
  const check = new OptionsCheck('pushRegistry', options, [
    'client',
    'remoteWrite',
    'intervalMs',
    'collectTimeoutMs',
    'labels',
    'staleMarkersOnClose',
    'closeDeadlineMs',
    'logger',
    'clock',
  ])
  const {
    client,
    remoteWrite,
    labels,
    clock = backgroundClock,
    logger = silentLogger,
  }: PushRegistryOptions = Object(options)
  if (typeof Reflect.get(Object(registry), 'getMetricsAsJSON') !== 'function') {
    check.problem('the registry must be a Registry of prom-client')
  }
  if ((client === undefined) === (remoteWrite === undefined)) check.problem('give either client or remoteWrite')
  if (client !== undefined && typeof Reflect.get(Object(client), 'write') !== 'function') {
    check.refuse('client', 'a RemoteWriteClient')
  }
  check.integer('intervalMs', { min: 100, max: MAX_DELAY_MS })
  check.integer('collectTimeoutMs', { max: MAX_DELAY_MS })
  check.integer('closeDeadlineMs', { max: MAX_DELAY_MS })
  check.boolean('staleMarkersOnClose')
  const pairs = checkedLabels(check, labels)
  checkLoggerAndClock(check, options)
  checkRemoteWrite(check, remoteWrite)
  check.throwIfAny()
  return {
    target: new PushTarget(client, remoteWrite, { clock, logger }),
    intervalMs: options.intervalMs ?? 15_000,
    collectTimeoutMs: options.collectTimeoutMs ?? 10_000,
    labels: pairs,
    staleMarkersOnClose: options.staleMarkersOnClose ?? false,
    closeDeadlineMs: options.closeDeadlineMs ?? 10_000,
    clock,
    logger,
  }
}

function checkedLabels(check: OptionsCheck, labels: unknown): LabelPair[] {
  if (labels === undefined) return []
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
    check.refuse('labels', 'an object of names and values')
    return []
  }
  const pairs: LabelPair[] = []
  for (const [name, value] of Object.entries<unknown>(labels as Record<string, unknown>)) {
    if (!LABEL_NAME.test(name) || name.startsWith('__')) {
      check.problem(
        `labels: ${JSON.stringify(name)} is not the name of a label: letters, digits and '_', not first a digit or '__'`,
      )
    } else if (typeof value !== 'string' || value === '' || !value.isWellFormed()) {
      check.problem(`labels.${name} must be a non-empty, well-formed string, got ${typeof value}`)
    } else pairs.push([name, value])
  }
  return pairs
}
