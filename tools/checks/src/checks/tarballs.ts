import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

import { packAll, readPacked, type Tarball } from '../publish/pack.ts'
import { run } from '../run.ts'
import { publishedPackages } from '../workspace.ts'
import type { Check } from './check.ts'

/** Checks of what a release would upload. The packages are packed once, by the first check that asks. */
export function tarballChecks(root: string): { checks: Check[]; dispose: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-pack-'))
  let packed: Promise<Tarball[]> | undefined
  const tarballs = (): Promise<Tarball[]> => (packed ??= packAll(root, publishedPackages(root), folder))
  const eachTarball = (name: string, problems: (tarball: Tarball) => Promise<readonly string[]>): Check => ({
    name,
    async problems() {
      const found: string[] = []
      for (const tarball of await tarballs()) {
        for (const problem of await problems(tarball)) found.push(`${tarball.name}: ${problem}`)
      }
      return found
    },
  })
  return {
    checks: [
      eachTarball('tarballs: README, LICENSE, nothing stray', (tarball) => contentProblems(root, tarball)),
      eachTarball('publint', publintProblems),
      eachTarball('are the types wrong', (tarball) => typeResolutionProblems(root, tarball)),
    ],
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const EXPECTED = /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|(?:dist|src)\/.+)$/
const STRAY = /(?:\.tsbuildinfo|\.log|\.test\.[jt]s|(?:^|\/)\.[^/]+)$/

async function contentProblems(root: string, tarball: Tarball): Promise<string[]> {
  const problems: string[] = []
  if ((await readPacked(tarball, 'README.md')) === undefined) problems.push('has no README.md')
  const license = await readPacked(tarball, 'LICENSE')
  if (license === undefined) problems.push('has no LICENSE')
  else if (license !== readFileSync(join(root, 'LICENSE'), 'utf8')) problems.push("LICENSE differs from the root's")
  for (const { path } of tarball.files) {
    if (!EXPECTED.test(path) || STRAY.test(path)) problems.push(`${path} does not belong in it`)
  }
  const manifest = await readPacked(tarball, 'package.json')
  if (manifest?.includes('workspace:') === true) problems.push('package.json still has a workspace: range')
  return problems
}

async function publintProblems(tarball: Tarball): Promise<string[]> {
  const bytes = readFileSync(tarball.filename)
  const packed = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  const { messages, pkg } = await publint({ pack: { tarball: packed }, strict: true })
  return messages.flatMap((message) => formatMessage(message, pkg, { color: false }) ?? message.code)
}

async function typeResolutionProblems(root: string, tarball: Tarball): Promise<string[]> {
  const cli = createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json')
  const attw = join(dirname(cli), 'dist/index.js')
  const options = ['--profile', 'esm-only', '--no-definitely-typed', '--no-color', '--no-emoji', '--format', 'ascii']
  const { code, output } = await run(process.execPath, [attw, tarball.filename, ...options], { cwd: root })
  return code === 0 ? [] : [output.trim()]
}
