/** US dollars in us-east-1, from https://aws.amazon.com/timestream/pricing/ */
const WRITE_OF_1_KIB = 0.5 / 1_000_000
const MEMORY_STORE_GB_HOUR = 0.036
const COMPUTE_UNIT_HOUR = 0.518
/** The fewest that an account can be set to, and the shortest time that is billed. */
const COMPUTE_UNITS = 4
const BILLED_SECONDS = 30
const RECORD_BYTES = 200
const RECORDS_PER_WRITE = 4
/** Data is deleted at the end; an hour is assumed. */
const HOURS = 1
const QUERIES = 6

/** What a run costs at most, in words. */
export function costOf(records: number): string {
  const writes = Math.ceil(records / RECORDS_PER_WRITE)
  const parts = [
    writes * WRITE_OF_1_KIB,
    ((records * RECORD_BYTES) / 1e9) * HOURS * MEMORY_STORE_GB_HOUR,
    (QUERIES * COMPUTE_UNITS * BILLED_SECONDS * COMPUTE_UNIT_HOUR) / 3600,
  ]
  const total = parts.reduce((sum, part) => sum + part, 0)
  return (
    `This writes ${records} records to Amazon Timestream (about ${writes} writes of 1 KiB) and asks up to ${QUERIES} queries. ` +
    `It costs about ${total.toFixed(2)} US dollars or less at the prices of us-east-1, nearly all for the queries; ` +
    'other regions may cost more, and the account is billed, not Sluice.'
  )
}
