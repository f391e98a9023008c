import { OptionsCheck } from '@sluice/core'
import type { PrometheusRecord, PrometheusTimeSeries, ValidationPolicy } from './model.ts'
import { REMOTE_WRITE_OPTIONS, resolveRemoteWrite } from './options-resolve.ts'
import { isHeaderValue } from './options-transport.ts'
import type { RemoteWriteOptions, ResolvedOptions } from './options.ts'

/** A series, or one sample with its series. */
export type SeriesLike = PrometheusTimeSeries | PrometheusRecord

/** What a value becomes: one series, several, or none. */
export type ConvertedSeries = SeriesLike | readonly SeriesLike[] | undefined

/**
 * Turns a value into series or flat records; `undefined` or an empty list for none. Synchronous and repeatable: after a restart the same value
 * must give the same series. A throw refuses the value.
 */
export type ElementConverter<In> = (value: In) => ConvertedSeries

/**
 * Options of {@link PrometheusSink}. Names and defaults follow the Prometheus connector for Apache Flink.
 *
 * See https://prometheus.io/docs/specs/prw/remote_write_spec/
 *
 * @example
 * ```ts
 * const options: PrometheusSinkOptions<{ host: string; cpu: number; timeMs: number }> = {
 *   prometheusRemoteWriteUrl: 'http://localhost:9090/api/v1/write',
 *   elementConverter: ({ host, cpu, timeMs }) => ({ name: 'cpu', labels: { host }, value: cpu, timestamp: timeMs }),
 * }
 * ```
 */
export interface PrometheusSinkOptions<In = SeriesLike> extends RemoteWriteOptions {
  /** @default the values are series or flat records, or lists of them */
  readonly elementConverter?: ElementConverter<In>
  /**
   * The tenant, sent in `tenantHeader`: one for all, or of each value ('' for none). Each tenant has requests, lanes and a limiter of its own.
   *
   * @default none
   */
  readonly tenant?: string | ((value: In) => string)
  /** What becomes of series that break the rules of remote write. @default 'normalise' */
  readonly validation?: ValidationPolicy
}

/** What the sink works with: every default filled in. */
export interface ResolvedSinkOptions<In> extends ResolvedOptions {
  readonly elementConverter: ElementConverter<In> | undefined
  readonly tenant: string | ((value: In) => string)
  readonly validation: ValidationPolicy
}

/** Of the sink, beside those of {@link RemoteWriteOptions}. */
const SINK_OPTIONS = ['elementConverter', 'tenant', 'validation'] as const

/**
 * @param check - of the options that these are a part of. @default one of their own
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem.
 */
export function resolveSinkOptions<In>(
  options: PrometheusSinkOptions<In>,
  check: OptionsCheck = new OptionsCheck('PrometheusSink', options, [...REMOTE_WRITE_OPTIONS, ...SINK_OPTIONS]),
): ResolvedSinkOptions<In> {
  if (typeof options !== 'object' || options === null) check.throwIfAny()
  const resolved = resolveRemoteWrite(check, options)
  check.function('elementConverter')
  check.oneOf('validation', ['normalise', 'strict', 'off'])
  const tenant: unknown = options.tenant
  if (tenant !== undefined && typeof tenant !== 'function' && !(typeof tenant === 'string' && isHeaderValue(tenant))) {
    check.refuse('tenant', 'visible ASCII text or a function')
  }
  check.throwIfAny()
  return {
    ...resolved(),
    elementConverter: options.elementConverter,
    tenant: options.tenant ?? '',
    validation: options.validation ?? 'normalise',
  }
}
