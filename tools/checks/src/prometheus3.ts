// `npm run test:prometheus3`: builds Prometheus 3 from its Go module, once, and runs the tests of remote write 2.0 against it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { cacheFolder } from '@sluice/testkit'
import { run } from './run.ts'
import { ROOT } from './workspace.ts'

const MODULE = 'github.com/prometheus/prometheus'
/** Module v0.312.0 is Prometheus 3.12.0. */
const VERSION = '3.12.0'
const MODULE_VERSION = 'v0.312.0'
/** Without discovery of targets in clouds, which nothing here needs and which is most of the work. */
const TAGS = 'remove_all_sd'
/** The module brings its own workspace file, and names a newer Go where it needs one: that comes from the module proxy too. */
const GO_ENV = { GOWORK: 'off', GOFLAGS: '-buildvcs=false', GOTOOLCHAIN: 'auto' }
const DOWNLOAD_DEADLINE_MS = 10 * 60_000
const BUILD_DEADLINE_MS = 60 * 60_000

const program = join(cacheFolder(), 'prometheus3', VERSION, 'prometheus')
if (await isProgram(program)) console.log(`Prometheus ${VERSION}: ${program}`)
else await build()

const child = spawn('vitest', ['run', '--config', 'test/prometheus3/vitest.config.ts', '--root', '.'], {
  cwd: join(ROOT, 'packages', 'prometheus'),
  // Tests take the first Prometheus on the PATH.
  env: { ...process.env, PATH: [dirname(program), process.env['PATH']].join(delimiter) },
  stdio: 'inherit',
})
const [code] = (await once(child, 'exit')) as [number | null]
process.exitCode = code ?? 1

async function build(): Promise<void> {
  const startedAt = performance.now()
  console.log(
    `Prometheus ${VERSION} is built from its Go module, once: minutes of an idle machine, and 1 GB of Go's caches`,
  )
  const folder = dirname(program)
  await mkdir(folder, { recursive: true })
  const building = await mkdtemp(join(folder, '.building-'))
  try {
    const source = await download(building)
    const output = join(building, 'prometheus')
    const version = `-s -w -X github.com/prometheus/common/version.Version=${VERSION}`
    const args = ['build', '-tags', TAGS, '-trimpath', '-ldflags', version, '-o', output, './cmd/prometheus']
    await go(args, source, BUILD_DEADLINE_MS)
    await rename(output, program)
  } finally {
    await rm(building, { recursive: true, force: true, maxRetries: 3 })
  }
  console.log(`built in ${Math.round((performance.now() - startedAt) / 1000)} s: ${program}`)
}

/** The folder of the module's source, below Go's own cache. */
async function download(cwd: string): Promise<string> {
  const said = await go(['mod', 'download', '-json', `${MODULE}@${MODULE_VERSION}`], cwd, DOWNLOAD_DEADLINE_MS)
  const { Dir }: { Dir?: string } = JSON.parse(said)
  if (Dir === undefined) throw new Error(`go mod download named no folder: ${said.slice(0, 1_000)}`)
  return Dir
}

/** @throws Error where there is no Go, or where it fails, with what it said */
async function go(args: readonly string[], cwd: string, timeoutMs: number): Promise<string> {
  const result = await run('go', args, { cwd, env: GO_ENV, timeoutMs }).catch((error: unknown) => {
    throw new Error('Go 1.21 or later must be on the PATH to build Prometheus 3', { cause: error })
  })
  if (result.code === 0) return result.stdout
  const why = result.timedOut ? `took longer than ${timeoutMs / 60_000} min` : `ended with ${result.code}`
  throw new Error(`go ${args.slice(0, 2).join(' ')} ${why}:\n${result.output.slice(-4_000)}`)
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
