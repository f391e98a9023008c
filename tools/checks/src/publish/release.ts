import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { runOrThrow } from '../run.ts'
import { publishedPackages } from '../workspace.ts'
import { clearChangesets, copyWorkspace, pendingChangesets } from './workspace-copy.ts'

/**
 * Makes a release of the workspace in the copy `target`, with the commands of a real one: pending changesets become
 * versions, then `changeset publish` uploads what the registry does not have. Returns the published versions by name.
 */
export async function releaseTo(registry: string, root: string, target: string): Promise<ReadonlyMap<string, string>> {
  await copyWorkspace(root, target)
  if (pendingChangesets(target).length > 0) await runOrThrow('changeset', ['version'], { cwd: target })
  for (const { path } of publishedPackages(target)) withoutProvenance(join(path, 'package.json'))
  const { host, pathname } = new URL(registry)
  // A client refuses to publish without a token; this registry takes any.
  writeFileSync(join(target, '.npmrc'), `registry=${registry}\n//${host}${pathname}:_authToken=anyone\n`)
  await runOrThrow('changeset', ['publish', '--no-git-tag'], { cwd: target, env: { npm_config_registry: registry } })
  return new Map(publishedPackages(target).map(({ name, manifest }) => [name, manifest.version]))
}

// Only a CI service with an identity can state where a package was built.
function withoutProvenance(path: string): void {
  const manifest: { publishConfig?: { provenance?: boolean } } = JSON.parse(readFileSync(path, 'utf8'))
  delete manifest.publishConfig?.provenance
  writeFileSync(path, JSON.stringify(manifest, null, 2))
}

/** The packages that get a new version when `name` alone has a changeset of this kind. Works in the copy `target`. */
export async function releasedWith(name: string, bump: 'minor', root: string, target: string): Promise<string[]> {
  await copyWorkspace(root, target)
  clearChangesets(target)
  writeFileSync(join(target, '.changeset/only-one.md'), `---\n'${name}': ${bump}\n---\n\nSomething new.\n`)
  const before = new Map(publishedPackages(target).map((each) => [each.name, each.manifest.version]))
  await runOrThrow('changeset', ['version'], { cwd: target })
  return publishedPackages(target)
    .filter((each) => each.manifest.version !== before.get(each.name))
    .map((each) => each.name)
}
