import { readJobArguments } from './checkpoint-arguments.ts'
import { jobFolder, type StoredCheckpoint, storedCheckpoints, timeOf } from './checkpoint-folder.ts'
import { type Command, EXIT, printable, tell, write } from './command.ts'

export const checkpointsShow: Command = {
  name: 'checkpoints show',
  summary: 'prints the positions in a checkpoint',
  help: `Usage: sluice checkpoints show <folder> --job <name> [options]

Prints what a checkpoint holds: by source, the position of each split and the state of the enumerator. Changes nothing.

  --job <name>       the job
  --id <id>          the checkpoint; default: the one that the job goes on from
  --json             one line of JSON

Exit codes: 0, 1 when the checkpoint is damaged, refused or could not be read, or a newer one is, 2 when the command line is wrong.`,

  async run(args) {
    const { folder, job, id, flags } = readJobArguments(args, {
      values: ['job', 'id'],
      flags: ['json'],
    })
    const files = await storedCheckpoints(await jobFolder(folder, job))
    const chosen = choose(files, id)
    const passedOver = id === undefined ? files.slice(0, files.indexOf(chosen)) : []
    for (const { name, damage } of passedOver) tell(`passed over: ${name}: ${damage}`)
    await write(flags.has('json') ? asJson(chosen) : asText(chosen))
    return passedOver.length === 0 ? EXIT.ok : EXIT.failed
  },
}

type Whole = StoredCheckpoint & { readonly content: NonNullable<StoredCheckpoint['content']> }

/**
 * The checkpoint with that id; without, the one that the job goes on from.
 *
 * @throws Error when there is none, or the job would not start.
 */
export function choose(files: readonly StoredCheckpoint[], id: number | undefined): Whole {
  const wanted = id === undefined ? files : files.filter((file) => file.id === id)
  const chosen = wanted.find(({ content, refusal }) => content !== undefined || refusal !== undefined)
  if (chosen?.refusal !== undefined) {
    const says = id === undefined ? 'the job does not start: ' : ''
    throw new Error(`${says}${chosen.name} is refused: ${chosen.refusal}`)
  }
  if (chosen !== undefined) return chosen as Whole
  const [first] = wanted
  if (first?.damage !== undefined) throw new Error(`${first.name} is damaged: ${first.damage}`)
  const ids = [...new Set(files.map((file) => file.id))].join(', ')
  throw new Error(files.length === 0 ? 'there are no checkpoints' : `there is no checkpoint ${id}; there are: ${ids}`)
}

function asJson({ name, token, bytes, content: { checkpoint, header } }: Whole): string {
  const { job, id, createdAtMs, sources } = checkpoint
  const { format, version = null } = header
  return `${JSON.stringify({ job, id, token, createdAtMs, format, version, file: name, bytes, sources })}\n`
}

function asText({ token, bytes, content: { checkpoint, header } }: Whole): string {
  const { job, id, createdAtMs, sources } = checkpoint
  const by = header.version === undefined ? '' : `, written by ${header.package} ${header.version}`
  const lines = [
    `checkpoint ${id} of job ${job}, owner ${token}, ${timeOf(createdAtMs)}, ${bytes} bytes, format ${header.format}${by}`,
  ]
  for (const [uid, { stateVersion, enumerator, splits }] of Object.entries(sources)) {
    lines.push(`source ${uid}, state version ${stateVersion}, ${splits.length} splits`)
    for (const split of splits) lines.push(`  ${splitLine(split)}`)
    lines.push(`  enumerator ${JSON.stringify(enumerator)}`)
  }
  return lines.map((line) => `${printable(line)}\n`).join('')
}

function splitLine(split: unknown): string {
  if (typeof split !== 'object' || split === null) return JSON.stringify(split)
  const { splitId, ...rest } = split as Readonly<Record<string, unknown>>
  return `${typeof splitId === 'string' ? splitId : '-'}  ${JSON.stringify(rest)}`
}
