import { mkdir, readdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { syncFolder } from '../checkpoint/durable.ts'
import { HINT_FILE } from '../checkpoint/hint.ts'
import { PART, parseCheckpointName } from '../checkpoint/names.ts'
import { findOwner, takeOwnership } from '../checkpoint/owner.ts'
import { messageOf, SluiceError } from '../errors.ts'
import { readJobArguments } from './checkpoint-arguments.ts'
import { jobFolder, type StoredCheckpoint, storedCheckpoints, timeOf } from './checkpoint-folder.ts'
import { choose } from './checkpoints-show.ts'
import { type Command, EXIT, printable, tell, write } from './command.ts'

export const checkpointsReset: Command = {
  name: 'checkpoints reset',
  summary: 'makes a job start anew, or from an older checkpoint',
  help: `Usage: sluice checkpoints reset <folder> --job <name> [options]

Moves checkpoints of a job aside, into reset-<time> beside them. Without --to all of them: the job then starts at the initial
position of its sources. Moving the files back undoes it. A job that is running is refused; one that runs on another machine cannot
be seen, and stops at its next checkpoint.

  --job <name>       the job
  --to <id>          goes back to this checkpoint: those after it are moved, records after it are read again
  --yes              does it; without, only says what would be done

Exit codes: 0, 1 when it was refused or failed, 2 when the command line is wrong.`,

  async run(args) {
    const { folder, job, id, flags } = readJobArguments(args, { values: ['job', 'to'], flags: ['yes'] })
    const path = await jobFolder(folder, job)
    if (!flags.has('yes')) return await sayOnly(job, path, id)
    await reset(job, path, id)
    return EXIT.ok
  },
}

/** What is moved, and what the job then goes on from. */
interface Plan {
  readonly moved: readonly string[]
  readonly target: StoredCheckpoint | undefined
}

/** @throws Error when there is no such checkpoint, or it is damaged. */
async function planOf(folder: string, to: number | undefined): Promise<Plan> {
  const names = await readdir(folder)
  const parts = names.filter((name) => name.endsWith(PART) && parseCheckpointName(name.slice(0, -PART.length)))
  const files = await storedCheckpoints(folder)
  // The note of what was emitted since is still true after a step back, and says nothing before the first checkpoint.
  if (to === undefined) {
    const hint = names.filter((name) => name === HINT_FILE)
    return { moved: [...files.map(({ name }) => name), ...parts, ...hint], target: undefined }
  }
  const target = choose(files, to)
  return { moved: [...files.slice(0, files.indexOf(target)).map(({ name }) => name), ...parts], target }
}

async function sayOnly(job: string, folder: string, to: number | undefined): Promise<number> {
  const { moved, target } = await planOf(folder, to)
  for (const name of moved) await write(`${printable(name)}\n`)
  tell(`${moved.length} files would be moved aside; ${job} would ${future(target)}`)
  const { alive } = await findOwner(folder)
  if (alive) tell(running(job))
  else tell('nothing was changed: --yes does it')
  return alive ? EXIT.failed : EXIT.ok
}

/** While it owns the folder no job can start, and one elsewhere that still runs is stopped. */
async function reset(job: string, folder: string, to: number | undefined): Promise<void> {
  await using _owner = await takeOwnership(folder).catch((error: unknown) => {
    if (SluiceError.isInstance(error) && error.code === 'SLUICE_STATE_OWNED') throw new Error(running(job))
    throw error
  })
  const { moved, target } = await planOf(folder, to)
  if (moved.length === 0) return tell(`there is nothing to be moved; ${job} will ${future(target)}`)
  const aside = join(folder, `reset-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`)
  await mkdir(aside)
  // Oldest last: whenever this is interrupted, what is left is what the job had stored up to some moment.
  for (const name of moved) {
    await rename(join(folder, name), join(aside, name)).catch((error: unknown) => {
      throw new Error(`${name} could not be moved to ${aside}, the same command goes on: ${messageOf(error)}`)
    })
    await write(`${printable(name)}\n`)
  }
  await syncFolder(aside)
  await syncFolder(folder)
  tell(`${moved.length} files were moved to ${basename(aside)}; ${job} will ${future(target)}`)
}

function future(target: StoredCheckpoint | undefined): string {
  if (target?.content === undefined) return 'start at the initial position of its sources'
  return `go on from checkpoint ${target.id} of ${timeOf(target.content.checkpoint.createdAtMs)}`
}

function running(job: string): string {
  return `${job} is running: stop it first`
}
