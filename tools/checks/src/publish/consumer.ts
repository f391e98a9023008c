import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { PACKAGE_RULES } from '../architecture.ts'
import { run, runOrThrow, type RunResult } from '../run.ts'
import { ROOT, SCOPE } from '../workspace.ts'

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>>
}

interface PeerManifest {
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

/** An empty project that installs one package. */
export interface Consumer {
  readonly folder: string
  readonly subject: string
}

export interface Installed {
  readonly names: readonly string[]
  readonly withInstallScript: readonly string[]
}

/** Installs `subject` alone, as a user with npm does; only our own scope comes from the local registry. */
export async function installAlone(
  folder: string,
  subject: string,
  version: string,
  registry: string,
): Promise<Consumer> {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  writeFileSync(join(folder, '.npmrc'), `${SCOPE.slice(0, -1)}:registry=${registry}\n`)
  await npmInstall(folder, `${subject}@${version}`)
  return { folder, subject }
}

/** Adds packages that are not the subject's to the project: `name@version`. */
export async function installBeside(consumer: Consumer, packages: readonly string[]): Promise<void> {
  if (packages.length > 0) await npmInstall(consumer.folder, ...packages)
}

async function npmInstall(folder: string, ...packages: readonly string[]): Promise<void> {
  const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--save-exact']
  await runOrThrow('npm', ['install', ...flags, ...packages], { cwd: folder, timeoutMs: 240_000 })
}

/** Packages that the subject can work with and does not bring, as its published manifest says. */
export function optionalPeers({ folder, subject }: Consumer): string[] {
  const path = join(folder, 'node_modules', subject, 'package.json')
  const { peerDependenciesMeta = {} }: PeerManifest = JSON.parse(readFileSync(path, 'utf8'))
  return Object.keys(peerDependenciesMeta).filter((peer) => peerDependenciesMeta[peer]?.optional === true)
}

/** What the install brought, nested copies included, and which of it wants to run a script at install time. */
export function installed(consumer: Consumer): Installed {
  const lock: Lockfile = JSON.parse(readFileSync(join(consumer.folder, 'package-lock.json'), 'utf8'))
  const entries = Object.entries(lock.packages).filter(([path]) => path !== '')
  return {
    names: [...new Set(entries.map(([path]) => packageOf(path)))].toSorted(),
    withInstallScript: entries.filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => packageOf(path)),
  }
}

/** Those of `names` that `subject` has no business to bring. */
export function unasked(subject: string, names: readonly string[]): string[] {
  const rule = PACKAGE_RULES[subject]
  if (rule === undefined) throw new Error(`tools/checks/src/architecture.ts has no rule for ${subject}`)
  const allowed = new Set([subject, ...rule.sluice])
  return names.filter((name) => !allowed.has(name) && !rule.thirdParty.some((pattern) => pattern.test(name)))
}

/** What a run showed. */
export interface Execution {
  readonly result: RunResult
  /** Addresses of the modules of installed packages that were resolved. */
  readonly modules: readonly string[]
  /** The packages that they are of. */
  readonly packages: readonly string[]
  /** Addresses of modules outside the project. */
  readonly outside: readonly string[]
}

/** Writes a file of the project and runs it. */
export async function execute(
  consumer: Consumer,
  file: string,
  code: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Execution> {
  writeFileSync(join(consumer.folder, file), code)
  const trace = join(consumer.folder, `${file}.modules`)
  writeFileSync(trace, '')
  const hook = pathToFileURL(join(fileURLToPath(import.meta.url), '../record-modules.ts')).href
  const result = await run(process.execPath, ['--import', hook, file], {
    cwd: consumer.folder,
    env: { ...env, SLUICE_MODULE_TRACE: trace, NODE_OPTIONS: '' },
    timeoutMs: 60_000,
  })
  const urls = readFileSync(trace, 'utf8')
    .split('\n')
    .filter((url) => url.startsWith('file:') && url !== hook)
  const inside = pathToFileURL(join(consumer.folder, 'node_modules/')).href
  const modules = urls.filter((url) => url.startsWith(inside))
  return {
    result,
    modules,
    packages: [...new Set(modules.map((url) => packageOf(fileURLToPath(url))))].toSorted(),
    outside: urls.filter((url) => !url.startsWith(pathToFileURL(`${consumer.folder}/`).href)),
  }
}

/** Compilers that consumers may have, as installed in this workspace. */
export const COMPILERS = ['typescript-5.9', 'typescript-6', 'typescript-7'] as const

/** Type checks the given files of the project strictly, declarations of all dependencies included. */
export async function typeCheck(
  consumer: Consumer,
  compiler: (typeof COMPILERS)[number],
  files: readonly string[],
): Promise<RunResult> {
  const project = `tsconfig.${compiler}.json`
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024'],
    module: 'nodenext',
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
    // Only the project's own packages and the types of Node itself may be seen.
    typeRoots: [join(ROOT, 'node_modules/@types')],
  }
  writeFileSync(join(consumer.folder, project), JSON.stringify({ compilerOptions, files }))
  const tsc = join(ROOT, 'tools/checks/node_modules', compiler, 'bin/tsc')
  return run(process.execPath, [tsc, '-p', project, '--pretty', 'false'], { cwd: consumer.folder })
}

// `…/node_modules/a/node_modules/@b/c/dist/x.js` is of `@b/c`.
function packageOf(path: string): string {
  const marker = 'node_modules/'
  const [first = '', second = ''] = path.slice(path.lastIndexOf(marker) + marker.length).split('/')
  return first.startsWith('@') ? `${first}/${second}` : first
}
