import { mkdirSync } from 'node:fs'

import { runOrThrow } from '../run.ts'
import type { WorkspacePackage } from '../workspace.ts'

export interface Tarball {
  readonly name: string
  readonly version: string
  /** Absolute path of the `.tgz`. */
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

/** What a release would upload: `workspace:` ranges replaced, only the files that the manifest lists. */
export async function packAll(
  root: string,
  packages: readonly WorkspacePackage[],
  destination: string,
): Promise<Tarball[]> {
  mkdirSync(destination, { recursive: true })
  const filters = packages.flatMap((each) => ['--filter', each.name])
  const { stdout } = await runOrThrow('pnpm', ['-r', ...filters, 'pack', '--json', '--pack-destination', destination], {
    cwd: root,
  })
  const tarballs: Tarball | Tarball[] = JSON.parse(stdout)
  return Array.isArray(tarballs) ? tarballs : [tarballs]
}

/** Text of one file of a tarball, `undefined` when it is not in it. */
export async function readPacked(tarball: Tarball, path: string): Promise<string | undefined> {
  if (!tarball.files.some((file) => file.path === path)) return undefined
  const { stdout } = await runOrThrow('tar', ['-xzOf', tarball.filename, `package/${path}`], { cwd: '/' })
  return stdout
}
