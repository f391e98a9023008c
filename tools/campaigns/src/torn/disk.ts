import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunContext } from '../campaign.ts'
import { startFileLog, until } from '../pipelines/file-log-process.ts'
import type { FileLogUnderTest } from '../pipelines/file-log-servers.ts'

const DISK_BYTES = 2 * 1024 * 1024
const STEP_MS = 30_000
const RECORDS = 20
const PROCESS = 900

/** Something that happens to the disk under a running job, and ends. */
interface DiskFault {
  /** What the log says of it. */
  readonly error: RegExp
  begin(disk: string): void
  end(disk: string): void
}

const FAULTS: readonly DiskFault[] = [
  {
    error: /ENOSPC/,
    begin: fill,
    end: (disk) => rmSync(join(disk, 'ballast')),
  },
  {
    error: /EROFS/,
    begin: (disk) => mount('-o', 'remount,ro', disk),
    end: (disk) => mount('-o', 'remount,rw', disk),
  },
]

export interface DiskOutcome {
  readonly planned: number
  readonly fired: number
  readonly skipped: readonly string[]
  readonly failures: readonly string[]
}

/** A job goes on by itself when its disk was full, and when it was read-only. */
export async function diskFaults(
  context: RunContext,
  pipeline: FileLogUnderTest,
  produce: (count: number) => Promise<void>,
): Promise<DiskOutcome> {
  const disk = join(context.folder, 'disk')
  mkdirSync(disk)
  try {
    mount('-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk)
  } catch {
    return { planned: 0, fired: 0, skipped: ['a full disk and a read-only one: mounting is not allowed'], failures: [] }
  }
  const failures: string[] = []
  let fired = 0
  try {
    const stateFolder = join(disk, 'state')
    await using child = await startFileLog(context, pipeline, { process: PROCESS, stateFolder })
    const stored = (): number =>
      pipeline.events().filter(({ what, process }) => process === PROCESS && what === 'stored').length
    for (const fault of FAULTS) {
      await produce(RECORDS)
      const before = stored()
      await until('a checkpoint before the disk fails', () => stored() > before + 1, STEP_MS, context.signal)
      fault.begin(disk)
      await produce(RECORDS)
      await child.line(fault.error, STEP_MS)
      fired++
      const meanwhile = stored()
      fault.end(disk)
      await produce(RECORDS)
      await until('a checkpoint after the disk has failed', () => stored() > meanwhile, STEP_MS, context.signal)
      context.print(`the job went on after ${fault.error.source}`)
    }
    const { code, signal } = await child.stop(STEP_MS)
    if (code !== 0) failures.push(`the job whose disk failed ended with ${signal ?? `code ${code}`}, not with 0`)
  } finally {
    execFileSync('umount', ['-l', disk])
  }
  return { planned: FAULTS.length, fired, skipped: [], failures }
}

function mount(...args: readonly string[]): void {
  execFileSync('mount', args, { stdio: 'ignore' })
}

/** Until nothing fits any more. */
function fill(disk: string): void {
  for (let bytes = DISK_BYTES; bytes >= 512; bytes = Math.trunc(bytes / 2)) {
    try {
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(bytes), { flag: 'a' })
    } catch (error) {
      if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'ENOSPC') throw error
    }
  }
}
