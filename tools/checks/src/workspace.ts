import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly scripts?: Readonly<Record<string, string>>
  readonly exports?: Readonly<Record<string, string | { readonly types?: string }>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface WorkspacePackage {
  /** `@sluice/core` */
  readonly name: string
  /** `packages/core` */
  readonly folder: string
  /** Absolute path of the folder. */
  readonly path: string
  readonly manifest: Manifest
  /** Goes to the registry. */
  readonly published: boolean
}

/** Entry of a package for users: its specifier and its declaration file, relative to the package. */
export interface Entry {
  readonly subpath: string
  readonly types: string
}

export const ROOT: string = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
export const SCOPE = '@sluice/'

const GROUPS = ['packages', 'apps', 'tools']

/** Every package of the workspace at `root`, in a stable order. */
export function readWorkspace(root: string = ROOT): WorkspacePackage[] {
  return GROUPS.flatMap((group) => {
    if (!existsSync(join(root, group))) return []
    const folders = readdirSync(join(root, group)).toSorted()
    return folders.flatMap((name) => {
      const path = join(root, group, name)
      if (!existsSync(join(path, 'package.json'))) return []
      const manifest = readManifest(path)
      return [
        { name: manifest.name, folder: relative(root, path), path, manifest, published: manifest.private !== true },
      ]
    })
  })
}

export function publishedPackages(root: string = ROOT): WorkspacePackage[] {
  return readWorkspace(root).filter((each) => each.published)
}

/** Entries that users may import. `./internal` is shared among our own packages and has no promise of stability. */
export function publicEntries(manifest: Manifest): Entry[] {
  return Object.entries(manifest.exports ?? {}).flatMap(([subpath, target]) => {
    if (subpath === './internal' || typeof target === 'string' || target.types === undefined) return []
    return [{ subpath, types: target.types }]
  })
}

/** Test files of a package as vitest's `include` finds them, relative to the package. */
export function testFiles(pkg: Pick<WorkspacePackage, 'path'>): string[] {
  return globSync('test/**/*.test.ts', { cwd: pkg.path }).toSorted()
}

function readManifest(path: string): Manifest {
  const manifest: Manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
  return manifest
}
