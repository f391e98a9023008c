const NAME = /^(\d{8}T\d{9}Z)\.([A-Za-z0-9._-]+)\.\d+-[0-9a-f]{8}\.ndjson$/

/**
 * `20261122T001530123Z.hosts.4711-9f86d081.ndjson`: time of the first letter, job, process and the object that writes it. Names
 * sort by time, and no two writers ever choose the same one.
 */
export function letterFileName(createdAtMs: number, job: string, writer: string): string {
  const time = new Date(createdAtMs).toISOString().replaceAll(/[-:.]/g, '')
  return `${time}.${safe(job)}.${process.pid}-${writer}.ndjson`
}

/** Undefined for a file that is none of dead letters. */
export function jobOfFile(name: string): string | undefined {
  return NAME.exec(name)?.[2]
}

/** A job's name as it is in file names. Letters that were made elsewhere may name anything, a path for instance. */
export function safe(job: string): string {
  const name = job.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100)
  return name === '' ? '_' : name
}
