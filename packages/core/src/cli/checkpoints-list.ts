import { readArguments } from './checkpoint-arguments.ts'
import {
  jobFolder,
  jobFolders,
  type StoredCheckpoint,
  storedCheckpoints,
  tellOwner,
  timeOf,
} from './checkpoint-folder.ts'
import { type Command, EXIT, printable, write } from './command.ts'

export const checkpointsList: Command = {
  name: 'checkpoints list',
  summary: 'lists the checkpoints of a folder',
  help: `Usage: sluice checkpoints list <folder> [options]

Lists the checkpoints that fileCheckpoints() keeps in a folder, by job, newest first: the first one that is whole is what the job
goes on from, unless one before it is refused: then the job does not start. Says also whether the owner of each job is running on this machine. Changes nothing.

  --job <name>       of this job only

Exit codes: 0, 1 when something is damaged, refused or could not be read, 2 when the command line is wrong.`,

  async run(args) {
    const { folder, job } = readArguments(args, { values: ['job'], flags: [] })
    const rows: string[][] = [['JOB', 'ID', 'OWNER', 'TIME', 'BYTES', 'FORMAT', 'STATE']]
    const { folders, unreadable } =
      job === undefined
        ? await jobFolders(folder)
        : { folders: new Map([[job, await jobFolder(folder, job)]]), unreadable: 0 }
    let passedOver = unreadable
    for (const [name, path] of folders) {
      const files = await storedCheckpoints(path)
      passedOver += files.filter(({ content }) => content === undefined).length
      rows.push(...files.map((file) => row(name, file)))
    }
    await write(table(rows))
    for (const [name, path] of folders) await tellOwner(name, path)
    return passedOver === 0 ? EXIT.ok : EXIT.failed
  },
}

function row(job: string, { id, token, bytes, content, damage, refusal }: StoredCheckpoint): string[] {
  const [time, format] =
    content === undefined ? ['-', '-'] : [timeOf(content.checkpoint.createdAtMs), String(content.header.format)]
  const state = damage !== undefined ? `damaged: ${damage}` : refusal !== undefined ? `refused: ${refusal}` : 'whole'
  return [job, String(id), String(token), time, String(bytes), format, state].map(printable)
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  return rows
    .map(
      (cells) =>
        `${cells
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
