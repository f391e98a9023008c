import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** Programs that the check needs. */
export interface Tools {
  readonly spin: string
  readonly gcc: string
  /** `Spin Version 6.5.2 -- 6 December 2019` */
  readonly spinVersion: string
}

/** Something is missing that could not be fetched. The message says how to install it. */
export class ToolsMissing extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ToolsMissing'
  }
}

const HOW_TO_INSTALL = `Install them: Debian and Ubuntu \`apt-get install spin gcc\`; macOS \`brew install spin\` and the command line tools;
elsewhere see the pages of the Spin model checker (version 6.5 or newer; not Fermyon Spin, which has the same name).`

/**
 * Finds spin and gcc. On Debian without spin its package is fetched with `apt-get download` and unpacked into the cache folder
 * (`SLUICE_CACHE`, or `~/.cache/sluice`): that takes no root.
 *
 * @param fetch - false: only look.
 * @throws ToolsMissing
 */
export function findTools(fetch: boolean): Tools {
  const problems: string[] = []
  let spin = ['spin', cachedSpin()].find((path) => path !== undefined && versionOf(path) !== undefined)
  if (spin === undefined) spin = fetch ? fetchSpin(problems) : undefined
  if (spin === undefined) problems.unshift('spin, the model checker, is not on the PATH')
  if (run('gcc', ['--version']) === undefined)
    problems.push('gcc is not on the PATH; spin generates C, and preprocesses with it')
  const spinVersion = spin === undefined ? undefined : versionOf(spin)
  if (spin === undefined || spinVersion === undefined || problems.length > 0) {
    throw new ToolsMissing(`${problems.join('\n')}\n${HOW_TO_INSTALL}`)
  }
  return { spin, gcc: 'gcc', spinVersion }
}

/** Another program has this name too. */
function versionOf(spin: string): string | undefined {
  return /^Spin Version [6-9]\..*$/m.exec(run(spin, ['-V']) ?? '')?.[0]
}

function cacheFolder(): string {
  const chosen = process.env['SLUICE_CACHE']
  return join(chosen === undefined || chosen === '' ? join(homedir(), '.cache', 'sluice') : resolve(chosen), 'spin')
}

function cachedSpin(): string | undefined {
  const path = join(cacheFolder(), 'usr', 'bin', 'spin')
  return existsSync(path) ? path : undefined
}

function fetchSpin(problems: string[]): string | undefined {
  if (run('apt-get', ['--version']) === undefined || run('dpkg', ['--version']) === undefined) return undefined
  const folder = cacheFolder()
  try {
    mkdirSync(join(folder, '..'), { recursive: true })
    const aside = mkdtempSync(`${folder}-`)
    try {
      const [archive] =
        run('apt-get', ['download', 'spin'], aside) === undefined ? [] : globSync('*.deb', { cwd: aside })
      if (archive === undefined || run('dpkg', ['-x', archive, '.'], aside) === undefined) {
        problems.push('`apt-get download spin` did not work here')
        return undefined
      }
      rmSync(folder, { recursive: true, force: true })
      renameSync(aside, folder)
    } finally {
      rmSync(aside, { recursive: true, force: true })
    }
  } catch (error) {
    problems.push(`spin cannot be kept in ${folder}: ${error instanceof Error ? error.message : String(error)}`)
  }
  return cachedSpin()
}

/** What the program printed; undefined when it is missing or failed. */
function run(program: string, args: readonly string[], cwd?: string): string | undefined {
  const ended = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000, ...(cwd === undefined ? {} : { cwd }) })
  return ended.status === 0 ? ended.stdout : undefined
}
