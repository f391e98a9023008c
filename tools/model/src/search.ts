import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type PanReport, readPanOutput } from './pan-output.ts'
import type { Tools } from './tools.ts'

const MODEL: string = fileURLToPath(new URL('../protocol/protocol.pml', import.meta.url))
const MAX_DEPTH = 100_000
/** Of one search, in MB. Beyond it the search counts as truncated. */
const MAX_MEMORY_MB = 8_000
const TIMEOUT_MS = 30 * 60_000

export interface SearchRequest {
  readonly defines: readonly string[]
  readonly search: 'states' | 'cycles'
  /** Of the C compiler: long searches are worth a slow compilation, short ones are not. */
  readonly optimize: boolean
  /** Tell the counter-example. */
  readonly trail: boolean
}

export interface SearchResult extends PanReport {
  /** The counter-example, turn by turn; undefined when there is none, or it was not asked for. */
  readonly trail: readonly string[] | undefined
  /** With generation and compilation. */
  readonly totalSeconds: number
}

/**
 * Generates, compiles and runs one verifier, in a temporary folder that is gone afterwards.
 *
 * @throws Error when a program fails: that is not a verdict about the model.
 */
export async function searchModel(tools: Tools, request: SearchRequest, signal: AbortSignal): Promise<SearchResult> {
  const startedAt = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-model-'))
  try {
    const macros = request.defines.map((define) => `-D${define}`)
    await run(tools.spin, ['-a', ...macros, MODEL], folder, signal)
    const cycles = request.search === 'cycles'
    const flags = [request.optimize ? '-O1' : '-O0', cycles ? '-DNP' : '-DSAFETY', `-DMEMLIM=${MAX_MEMORY_MB}`]
    await run(tools.gcc, [...flags, '-w', '-o', 'pan', 'pan.c'], folder, signal)
    const hashTable = request.optimize ? '-w25' : '-w20'
    const bounds = [`-m${MAX_DEPTH}`, hashTable]
    const output = await run(join(folder, 'pan'), cycles ? [...bounds, '-l'] : bounds, folder, signal)
    const report = readPanOutput(output)
    const trail = request.trail && report.errors > 0 ? await tellTrail(tools, macros, folder, signal) : undefined
    return { ...report, trail, totalSeconds: (performance.now() - startedAt) / 1000 }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The model prints one line a turn while the trail is followed. */
async function tellTrail(
  tools: Tools,
  macros: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<string[]> {
  const told = await run(tools.spin, ['-t', '-T', '-k', 'protocol.pml.trail', ...macros, MODEL], folder, signal)
  const lines = told.split('\n')
  const end = lines.findIndex((line) => line.startsWith('spin: '))
  return lines.slice(0, end === -1 ? lines.length : end).filter((line) => line.trim() !== '')
}

function run(program: string, args: readonly string[], cwd: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd, signal, maxBuffer: 64 * 1024 * 1024, timeout: TIMEOUT_MS }
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else
        reject(
          new Error(`${program} ${args.join(' ')}: ${error.message}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`),
        )
    })
  })
}
