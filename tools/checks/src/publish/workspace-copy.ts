import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { workingFiles } from '../checks/sources.ts'
import { runOrThrow } from '../run.ts'
import { publishedPackages } from '../workspace.ts'

/**
 * Copies the workspace as it is (files that git does not ignore, and what was built) to `target`, as a git repository
 * with one commit on `main`. Releases are tried there: they change manifests and changelogs.
 */
export async function copyWorkspace(root: string, target: string): Promise<void> {
  for (const file of workingFiles(root)) copy(root, target, file)
  for (const { folder } of publishedPackages(root)) {
    if (existsSync(join(root, folder, 'dist'))) copy(root, target, join(folder, 'dist'))
  }
  await git(target, 'init', '--quiet', '--initial-branch=main')
  await git(target, 'add', '--all')
  await git(target, 'commit', '--quiet', '--no-verify', '--message=copy')
}

/** Takes away every pending changeset, so that the next one stands alone. */
export function clearChangesets(root: string): void {
  for (const file of pendingChangesets(root)) rmSync(join(root, '.changeset', file))
}

export function pendingChangesets(root: string): string[] {
  return readdirSync(join(root, '.changeset')).filter((file) => file.endsWith('.md') && file !== 'README.md')
}

function copy(root: string, target: string, path: string): void {
  mkdirSync(dirname(join(target, path)), { recursive: true })
  cpSync(join(root, path), join(target, path), { recursive: true, preserveTimestamps: true })
}

async function git(cwd: string, ...args: readonly string[]): Promise<void> {
  const identity = ['-c', 'user.name=Sluice', '-c', 'user.email=checks@localhost', '-c', 'commit.gpgsign=false']
  await runOrThrow('git', [...identity, ...args], { cwd })
}
