const PRICES = 'https://aws.amazon.com/timestream/pricing/'
/** US dollars in us-east-1, as they were known when this was written. */
const WRITE_OF_1_KIB = 0.5 / 1_000_000
const MEMORY_STORE_GB_HOUR = 0.036
const COMPUTE_UNIT_HOUR = 0.518
/**
 * The fewest that an account can be set to, and the shortest time that is billed; a query may use more. Accounts of before 2024-04-29 may
 * pay for the data that is scanned instead, which is less.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/tcu.html
 */
const COMPUTE_UNITS = 4
const BILLED_SECONDS = 30
const RECORD_BYTES = 200
const RECORDS_PER_WRITE = 4
/** Data is deleted at the end; an hour is assumed. */
const HOURS = 1
const QUERIES = 6

/** What a run costs, estimated, in words. */
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
    `It is estimated to cost about ${total.toFixed(2)} US dollars at the prices of us-east-1, with ${COMPUTE_UNITS} compute units ` +
    `for ${BILLED_SECONDS} s for each query. What holds for your account and region, such as a minimum charge for storage, ` +
    `is told at ${PRICES}; the account is billed, not Sluice.`
  )
}
