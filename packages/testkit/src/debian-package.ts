import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, delimiter, join } from 'node:path'
import { promisify } from 'node:util'

import { cacheFolder } from './folders.ts'
import { requireOrSkip } from './requirements.ts'

/** Where a program is, or why it cannot be had. */
export type DebianProgram =
  | {
      /** Absolute path of the program. */
      readonly path: string
      /** `'PATH'`: it is installed. `'cache'`: it was unpacked, by this call or an earlier one. */
      readonly from: 'PATH' | 'cache'
    }
  | { readonly missing: string }

const run = promisify(execFile)

const DOWNLOAD_DEADLINE_MS = 180_000
const UNPACK_DEADLINE_MS = 60_000
const MAX_OUTPUT_BYTES = 1024 * 1024

const lookups = new Map<string, Promise<DebianProgram>>()

/**
 * Finds a program on the PATH, in the cache, or in the Debian package that has it. The package is downloaded by apt, which
 * checks it against the signed lists of the machine's sources, and unpacked below {@link cacheFolder}: nothing is installed,
 * no service starts, and root is not needed. What is in the cache stays until its folder is deleted. Processes that look
 * for the same package at once may all download it; each finds it whole.
 *
 * @param name - the package: `'prometheus'`
 * @param program - the program in it. Default: named as the package
 * @returns the program, or why it is missing: no apt, no such package, no connection. The answer is kept for the process
 * @throws RangeError for a name that no Debian package can have
 *
 * @example
 * ```ts
 * const prometheus = await debianPackage('prometheus')
 * const promtool = await debianPackage('prometheus', 'promtool')
 * ```
 */
export function debianPackage(name: string, program: string = name): Promise<DebianProgram> {
  for (const [what, value] of [
    ['package', name],
    ['program', program],
  ] as const) {
    if (!/^[a-z0-9][a-z0-9+.-]+$/.test(value)) {
      throw new RangeError(`a Debian ${what} is named by a-z, 0-9, +, . and -, and ${JSON.stringify(value)} is not`)
    }
  }
  const key = JSON.stringify([name, program, process.env['PATH'], cacheFolder()])
  const known = lookups.get(key)
  if (known !== undefined) return known
  const lookup = find(name, program)
  lookups.set(key, lookup)
  return lookup
}

/**
 * As {@link debianPackage}, for a shared library below `usr/lib` of the package, such as one to preload.
 *
 * @example
 * ```ts
 * const found = await debianLibrary('libfaketime', 'libfaketimeMT.so.1')
 * ```
 */
export async function debianLibrary(name: string, library: string): Promise<DebianProgram> {
  try {
    const unpacked = await unpack(name, (folder) => libraryIn(folder, library))
    if (typeof unpacked !== 'string') return unpacked
    const path = await libraryIn(unpacked, library)
    return path === undefined ? { missing: `the Debian package ${name} has no ${library}` } : { path, from: 'cache' }
  } catch (error) {
    return { missing: `the Debian package ${name} cannot be had: ${reason(error)}` }
  }
}

/**
 * Whether a test has to be skipped because a program is not to be had: {@link debianPackage} and {@link requireOrSkip}
 * together.
 *
 * @param requirement - as `SLUICE_REQUIRE` names it
 * @param name - the package, whose program has the same name
 * @throws Error when it is missing and `SLUICE_REQUIRE` names it
 */
export async function debianPackageOrSkip(requirement: string, name: string): Promise<boolean> {
  const found = await debianPackage(name)
  return requireOrSkip(requirement, 'path' in found, 'path' in found ? '' : found.missing)
}

/** @throws Error when the program is not to be had, with the reason */
export async function debianProgram(name: string): Promise<string> {
  const found = await debianPackage(name)
  if ('path' in found) return found.path
  throw new Error(found.missing)
}

async function find(name: string, program: string): Promise<DebianProgram> {
  const installed = await onPath(program)
  if (installed !== undefined) return { path: installed, from: 'PATH' }
  try {
    const unpacked = await unpack(name, (folder) => inPackage(folder, program))
    if (typeof unpacked !== 'string') return { missing: `${program} is not on the PATH, and ${unpacked.missing}` }
    const path = await inPackage(unpacked, program)
    return path === undefined
      ? { missing: `the Debian package ${name} in ${unpacked} has no program ${program}` }
      : { path, from: 'cache' }
  } catch (error) {
    return { missing: `${program} is not on the PATH, and the Debian package ${name} cannot be had: ${reason(error)}` }
  }
}

/** The folder of the package, fetched unless what is wanted is in it. */
async function unpack(
  name: string,
  wanted: (folder: string) => Promise<string | undefined>,
): Promise<string | { readonly missing: string }> {
  const releases = join(cacheFolder(), 'debian', await release())
  const unpacked = join(releases, name)
  if ((await wanted(unpacked)) !== undefined) return unpacked
  if ((await onPath('apt-get')) === undefined || (await onPath('dpkg')) === undefined) {
    return { missing: `neither apt-get nor dpkg is there to fetch the Debian package ${name}` }
  }
  await fetchPackage(name, releases, unpacked)
  return unpacked
}

async function libraryIn(folder: string, library: string): Promise<string | undefined> {
  const below = join(folder, 'usr', 'lib')
  const entries = await readdir(below, { recursive: true }).catch(() => [])
  const found = entries.find((entry) => basename(entry) === library)
  return found === undefined ? undefined : join(below, found)
}

/** Programs of one release may not run on another, and a home folder may be shared. */
async function release(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const field = (name: string): string => new RegExp(`^${name}="?([\\w.-]+)`, 'm').exec(text)?.[1] ?? 'unknown'
  return `${field('ID')}-${field('VERSION_ID')}-${process.arch}`
}

/** Another process may do the same at once: a package appears whole, by one rename, and the first one stays. */
async function fetchPackage(name: string, releases: string, unpacked: string): Promise<void> {
  await mkdir(releases, { recursive: true })
  const folder = await mkdtemp(join(releases, '.fetching-'))
  try {
    const env = { ...process.env, LC_ALL: 'C' }
    const limits = ['Acquire::Retries=2', 'Acquire::http::Timeout=20', 'Acquire::https::Timeout=20']
    const options = [...limits, 'APT::Get::AllowUnauthenticated=false'].flatMap((option) => ['-o', option])
    await run('apt-get', ['-q', ...options, 'download', name], {
      cwd: folder,
      env,
      timeout: DOWNLOAD_DEADLINE_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
    })
    const archive = (await readdir(folder)).find((entry) => entry.endsWith('.deb'))
    if (archive === undefined) throw new Error('apt-get download left no package')
    await run('dpkg', ['-x', archive, 'unpacked'], {
      cwd: folder,
      env,
      timeout: UNPACK_DEADLINE_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
    })
    await rename(join(folder, 'unpacked'), unpacked).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

function inPackage(folder: string, program: string): Promise<string | undefined> {
  return firstProgram(['usr/bin', 'usr/sbin', 'bin', 'sbin'].map((bin) => join(folder, bin, program)))
}

function onPath(program: string): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'))
  return firstProgram(folders.map((folder) => join(folder, program)))
}

async function firstProgram(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const runs = await access(path, constants.X_OK).then(
      async () => (await stat(path)).isFile(),
      () => false,
    )
    if (runs) return path
  }
  return undefined
}

/** What the command printed says more than "Command failed". */
function reason(error: unknown): string {
  const printed = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  return printed === '' ? String(error) : printed.split('\n').slice(-3).join('; ')
}
