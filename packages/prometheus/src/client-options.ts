import { type OpenSinkOptions, OptionsCheck, SluiceError } from '@sluice/core'
import { checkOpenSinkOptions, OPEN_SINK_OPTIONS } from '@sluice/core/internal'
import { REMOTE_WRITE_OPTIONS } from './options-resolve.ts'
import {
  type PrometheusSinkOptions,
  type ResolvedSinkOptions,
  resolveSinkOptions,
  type SeriesLike,
} from './options-sink.ts'
import type { RemoteWriteOptions } from './options.ts'
import type { Entry } from './series.ts'

/** Options of {@link RemoteWriteClient}: those of the sink, and those of `openSink` of `@sluice/core`. */
export interface RemoteWriteClientOptions
  extends RemoteWriteOptions, OpenSinkOptions, Pick<PrometheusSinkOptions, 'validation'> {
  /** The tenant, sent in `tenantHeader`. @default none */
  readonly tenant?: string
  /**
   * Whether `close` ends each series that was written with a stale marker. The client then remembers all of them.
   *
   * @default false
   */
  readonly staleMarkersOnClose?: boolean
}

const SINK_OPTIONS: readonly string[] = [...REMOTE_WRITE_OPTIONS, 'tenant', 'validation']

/** What a client is made of. */
export interface ClientSinkOptions {
  readonly sink: ResolvedSinkOptions<SeriesLike | Entry>
  readonly open: OpenSinkOptions
  readonly staleMarkersOnClose: boolean
}

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function clientOptions(options: RemoteWriteClientOptions): ClientSinkOptions {
  const check = new OptionsCheck('RemoteWriteClient', options, [
    ...SINK_OPTIONS,
    ...OPEN_SINK_OPTIONS,
    'staleMarkersOnClose',
  ])
  if (typeof options !== 'object' || options === null) check.throwIfAny()
  check.boolean('staleMarkersOnClose')
  checkOpenSinkOptions(check, options)
  if (typeof options.tenant === 'function') check.refuse('tenant', 'visible ASCII text')
  return {
    sink: resolveSinkOptions<SeriesLike | Entry>(options, check),
    open: picked(options, OPEN_SINK_OPTIONS),
    staleMarkersOnClose: options.staleMarkersOnClose ?? false,
  }
}

/** Adds every problem of the option `remoteWrite`, options of a client that is to be made. */
export function checkRemoteWrite(check: OptionsCheck, options: unknown): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) return check.refuse('remoteWrite', 'an object')
  try {
    clientOptions(options as RemoteWriteClientOptions)
  } catch (error) {
    if (!SluiceError.isInstance(error)) throw error
    for (const problem of error.facts['problems'] as readonly string[]) check.problem(withPath(problem))
  }
}

/** A problem begins with the option, unless it is that there is no such option. */
function withPath(problem: string): string {
  if (!problem.startsWith("unknown option '")) return `remoteWrite.${problem}`
  return problem.replaceAll(/unknown option '|did you mean '/g, '$&remoteWrite.')
}

function picked(options: object, names: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(options).filter(([name, value]) => names.includes(name) && value !== undefined),
  )
}
