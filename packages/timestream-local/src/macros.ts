/** Functions of Timestream's SQL that DuckDB lacks, names differently, or gives another meaning. All times are UTC, without a zone. */
const CLOCK = 'make_timestamp_ns(epoch_us(get_current_timestamp()) * 1000)'

/** Nanoseconds of the units of a fixed length. */
const FIXED_UNITS: Readonly<Record<string, bigint>> = {
  nanosecond: 1n,
  microsecond: 1000n,
  millisecond: 1_000_000n,
  second: 1_000_000_000n,
  minute: 60_000_000_000n,
  hour: 3_600_000_000_000n,
  day: 86_400_000_000_000n,
  week: 604_800_000_000_000n,
}
const MONTHS: Readonly<Record<string, number>> = { month: 1, quarter: 3, year: 12 }
const DURATION_MICROS: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
}

const unknownUnit = (unit: string): string => `error('The unit ' || ${unit} || ' is not known.')`

const DATE_ADD = `CASE ${Object.entries(FIXED_UNITS)
  .map(
    ([unit, ns]) => `WHEN lower(u) = '${unit}' THEN make_timestamp_ns(epoch_ns(t::TIMESTAMP_NS) + n::BIGINT * ${ns})`,
  )
  .join(' ')} ${Object.entries(MONTHS)
  .map(
    ([unit, months]) =>
      `WHEN lower(u) = '${unit}' THEN make_timestamp_ns(epoch_ns((t::TIMESTAMP + to_months((n * ${months})::INTEGER))::TIMESTAMP_NS) + epoch_ns(t::TIMESTAMP_NS) - epoch_ns(t::TIMESTAMP::TIMESTAMP_NS))`,
  )
  .join(' ')} ELSE ${unknownUnit('u')} END`

/** TIMESTAMP_NS holds these whole days; TRY_CAST to it throws for a TIMESTAMP. */
const outOfNanoseconds = (time: string): string =>
  `${time}::TIMESTAMP NOT BETWEEN TIMESTAMP '1677-09-22' AND TIMESTAMP '2262-04-11'`
const DATE_SUB = 'date_sub(u, a::TIMESTAMP, b::TIMESTAMP)'

/** DuckDB's own counts the boundaries between two times, Timestream's the whole units. */
const DATE_DIFF = `CASE WHEN ${outOfNanoseconds('a')} OR ${outOfNanoseconds('b')} THEN ${DATE_SUB} ${Object.entries(
  FIXED_UNITS,
)
  .map(
    ([unit, ns]) =>
      `WHEN lower(u) = '${unit}' THEN ((epoch_ns(b::TIMESTAMP_NS)::HUGEINT - epoch_ns(a::TIMESTAMP_NS)) // ${ns})::BIGINT`,
  )
  .join(' ')} ELSE ${DATE_SUB} END`

const PARSE_DURATION = `CASE regexp_extract(s, '[a-z]+$') ${Object.entries(DURATION_MICROS)
  .map(
    ([unit, micros]) =>
      `WHEN '${unit}' THEN to_microseconds((regexp_extract(s, '^[0-9.]+')::DOUBLE * ${micros})::BIGINT)`,
  )
  .join(' ')} ELSE ${unknownUnit('s')} END`

/** Formats of date_format, which are MySQL's, and DuckDB's; in an order in which none undoes another. */
const FORMATS: readonly (readonly [string, string])[] = [
  ['%M', '%B'],
  ['%i', '%M'],
  ['%s', '%S'],
  ['%h', '%I'],
  ['%W', '%A'],
  ['%T', '%H:%M:%S'],
  ['%c', '%-m'],
  ['%e', '%-d'],
  ['%k', '%-H'],
  ['%l', '%-I'],
  ['%r', '%I:%M:%S %p'],
  ['%v', '%V'],
  ['%x', '%G'],
]
const FORMAT = FORMATS.reduce((text, [from, to]) => `replace(${text}, '${from}', '${to}')`, 'f')

/** Nanoseconds since the second began; of what is negative, % is negative, too. */
const FRACTION = '((epoch_ns(t::TIMESTAMP_NS) % 1000000000 + 1000000000) % 1000000000)'

export const MACROS: readonly string[] = [
  `CREATE MACRO now() AS ${CLOCK}`,
  `CREATE MACRO ago(i) AS (${CLOCK} - i)::TIMESTAMP_NS`,
  `CREATE MACRO bin(t, i) AS time_bucket(i, t::TIMESTAMP, TIMESTAMP '1970-01-01')::TIMESTAMP_NS`,
  `CREATE MACRO date_add(u, n, t) AS ${DATE_ADD}`,
  `CREATE MACRO date_diff(u, a, b) AS ${DATE_DIFF}`,
  `CREATE MACRO parse_duration(s) AS ${PARSE_DURATION}`,
  'CREATE MACRO from_milliseconds(ms) AS make_timestamp_ns(ms::BIGINT * 1000000)',
  'CREATE MACRO from_nanoseconds(ns) AS make_timestamp_ns(ns::BIGINT)',
  'CREATE MACRO from_unixtime(s) AS make_timestamp_ns((s * 1000000000::HUGEINT)::BIGINT)',
  'CREATE MACRO from_iso8601_timestamp(s) AS s::TIMESTAMP_NS',
  'CREATE MACRO from_iso8601_date(s) AS s::DATE',
  'CREATE MACRO to_milliseconds(t) AS epoch_ms(t)',
  'CREATE MACRO to_nanoseconds(t) AS epoch_ns(t)',
  // All nanoseconds at once are more than a DOUBLE holds.
  'CREATE MACRO to_unixtime(t) AS epoch_ns(t::TIMESTAMP_NS) // 1000000000 + (epoch_ns(t::TIMESTAMP_NS) % 1000000000) / 1e9',
  // Not %n of strftime: it puts the nanoseconds in the wrong place.
  `CREATE MACRO to_iso8601(t) AS strftime(make_timestamp_ns(epoch_ns(t::TIMESTAMP_NS) - ${FRACTION})::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.') || lpad(${FRACTION}::VARCHAR, 9, '0') || 'Z'`,
  `CREATE MACRO date_format(t, f) AS strftime(t, ${FORMAT})`,
  "CREATE MACRO current_timezone() AS 'UTC'",
  'CREATE MACRO last_day_of_month(t) AS last_day(t)',
  "CREATE MACRO millisecond(t) AS date_part('millisecond', t) % 1000",
  'CREATE MACRO day_of_month(t) AS day(t)',
  'CREATE MACRO day_of_week(t) AS isodow(t)',
  'CREATE MACRO dow(t) AS isodow(t)',
  'CREATE MACRO day_of_year(t) AS dayofyear(t)',
  'CREATE MACRO doy(t) AS dayofyear(t)',
  'CREATE MACRO week_of_year(t) AS week(t)',
  'CREATE MACRO year_of_week(t) AS isoyear(t)',
  'CREATE MACRO yow(t) AS isoyear(t)',
  'CREATE MACRO approx_distinct(x) AS approx_count_distinct(x)',
  'CREATE MACRO approx_percentile(x, p) AS approx_quantile(x, p)',
  'CREATE MACRO regexp_like(s, p) AS regexp_matches(s, p)',
  'CREATE MACRO element_at(x, i) AS x[i]',
  'CREATE MACRO rand() AS random()',
]
