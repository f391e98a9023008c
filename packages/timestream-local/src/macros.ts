/** Functions of Timestream's SQL that DuckDB lacks or names differently. All times are UTC, without a zone. */
const CLOCK = 'make_timestamp_ns(epoch_us(get_current_timestamp()) * 1000)'

export const MACROS: readonly string[] = [
  `CREATE MACRO now() AS ${CLOCK}`,
  `CREATE MACRO ago(i) AS (${CLOCK} - i)::TIMESTAMP_NS`,
  `CREATE MACRO bin(t, i) AS time_bucket(i, t::TIMESTAMP, TIMESTAMP '1970-01-01')::TIMESTAMP_NS`,
  'CREATE MACRO from_milliseconds(ms) AS make_timestamp_ns(ms::BIGINT * 1000000)',
  'CREATE MACRO from_nanoseconds(ns) AS make_timestamp_ns(ns::BIGINT)',
  'CREATE MACRO to_milliseconds(t) AS epoch_ms(t)',
  'CREATE MACRO to_nanoseconds(t) AS epoch_ns(t)',
  'CREATE MACRO approx_distinct(x) AS approx_count_distinct(x)',
  'CREATE MACRO approx_percentile(x, p) AS approx_quantile(x, p)',
]
