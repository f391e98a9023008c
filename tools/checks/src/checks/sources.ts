import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Check } from './check.ts'

/** A file beyond this has more than one subject. */
export const MAX_SOURCE_LINES = 400

export function sourceLength(root: string): Check {
  return {
    name: `source files up to ${MAX_SOURCE_LINES} lines`,
    problems: () =>
      Promise.resolve(
        workingFiles(root)
          .filter((file) => /^(packages|apps|tools)\/[^/]+\/src\/.*\.ts$/.test(file))
          .flatMap((file) => tooLong(file, readFileSync(join(root, file), 'utf8'))),
      ),
  }
}

export function tooLong(file: string, text: string): string[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  return lines > MAX_SOURCE_LINES ? [`${file}: ${lines} lines`] : []
}

/** Hosts of package registries and paths of one machine have no place in the repository: both are configuration. */
export function machineTraces(root: string, registry: string): Check {
  return {
    name: 'no registry hosts, no machine paths',
    problems: () =>
      Promise.resolve(
        workingFiles(root).flatMap((file) =>
          traces(file, readFileSync(join(root, file), 'utf8'), registryHosts(registry)),
        ),
      ),
  }
}

// Written in parts, so that this file passes its own check.
const KNOWN_HOSTS = [
  ['registry', 'npmjs', 'org'],
  ['www', 'npmjs', 'com'],
  ['registry', 'yarnpkg', 'com'],
  ['npm', 'pkg', 'github', 'com'],
  ['repo', 'maven', 'apache', 'org'],
  ['repo1', 'maven', 'org'],
  ['deb', 'debian', 'org'],
  ['proxy', 'golang', 'org'],
  ['files', 'pythonhosted', 'org'],
].map((parts) => parts.join('.'))

function registryHosts(registry: string): string[] {
  return [...new Set([...KNOWN_HOSTS, new URL(registry).hostname])]
}

const MACHINE_PATH = new RegExp(String.raw`(?<![\w.-])/(?:${['work', 'root', 'home/\\w+'].join('|')})/`)

export function traces(file: string, text: string, hosts: readonly string[]): string[] {
  return text.split('\n').flatMap((line, index) => {
    const host = hosts.find((each) => line.includes(each))
    const path = MACHINE_PATH.exec(line)?.[0]
    const what = host ?? path
    return what === undefined ? [] : [`${file}:${index + 1}: ${what}`]
  })
}

/** Files under version control and new ones that git does not ignore, without those deleted but not yet committed. */
export function workingFiles(root: string): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  return [...new Set(listed.split('\0'))].filter((file) => file !== '' && existsSync(join(root, file))).toSorted()
}
