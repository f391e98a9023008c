import { globSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'

import { PACKAGE_RULES, TESTKIT, TESTKIT_RULE, TEST_HELPERS, type PackageRule } from '../architecture.ts'
import { SCOPE, readWorkspace, type WorkspacePackage } from '../workspace.ts'
import type { Check } from './check.ts'

export function importDirection(root: string): Check {
  return {
    name: 'import direction',
    problems: () => Promise.resolve(importProblems(readWorkspace(root))),
  }
}

/** Every manifest and every import specifier that points against the arrows of `architecture.ts`. */
export function importProblems(workspace: readonly WorkspacePackage[]): string[] {
  const tools = new Set(workspace.filter((each) => each.folder.startsWith('tools/')).map((each) => each.name))
  const problems: string[] = []
  for (const pkg of workspace) {
    if (!pkg.folder.startsWith('packages/')) {
      problems.push(...forbiddenTools(pkg, tools))
      continue
    }
    const rule = ruleOf(pkg)
    if (rule === undefined) {
      problems.push(`${pkg.folder}: no rule in tools/checks/src/architecture.ts says what it may stand on`)
      continue
    }
    problems.push(...manifestProblems(pkg, rule), ...sourceProblems(pkg, rule))
  }
  return problems
}

function ruleOf(pkg: WorkspacePackage): PackageRule | undefined {
  return pkg.name === TESTKIT ? TESTKIT_RULE : PACKAGE_RULES[pkg.name]
}

function forbiddenTools(pkg: WorkspacePackage, tools: ReadonlySet<string>): string[] {
  const { dependencies, devDependencies } = pkg.manifest
  return Object.keys({ ...dependencies, ...devDependencies })
    .filter((name) => tools.has(name))
    .map((name) => `${pkg.folder}/package.json: ${name}: nobody imports tools`)
}

function manifestProblems(pkg: WorkspacePackage, rule: PackageRule): string[] {
  const { dependencies, peerDependencies, optionalDependencies, devDependencies } = pkg.manifest
  const problems: string[] = []
  const where = `${pkg.folder}/package.json`
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    if (!isAllowed(name, rule)) problems.push(`${where}: dependency ${name} is not among what ${pkg.name} may stand on`)
  }
  for (const name of Object.keys({ ...peerDependencies, ...devDependencies })) {
    if (!name.startsWith(SCOPE)) continue
    const helper = TEST_HELPERS.includes(name) && peerDependencies?.[name] === undefined
    if (!helper && !isAllowed(name, rule)) problems.push(`${where}: ${name} is not among what ${pkg.name} may use`)
  }
  return problems
}

function sourceProblems(pkg: WorkspacePackage, rule: PackageRule): string[] {
  const problems: string[] = []
  for (const file of globSync('{src,test,bench}/**/*.ts', { cwd: pkg.path }).toSorted()) {
    const published = file.startsWith(`src${sep}`)
    for (const specifier of importSpecifiers(readFileSync(join(pkg.path, file), 'utf8'))) {
      const why = specifierProblem(pkg, rule, file, specifier, published)
      if (why !== undefined) problems.push(`${pkg.folder}/${file}: '${specifier}': ${why}`)
    }
  }
  return problems
}

function specifierProblem(
  pkg: WorkspacePackage,
  rule: PackageRule,
  file: string,
  specifier: string,
  published: boolean,
): string | undefined {
  if (specifier.startsWith('.')) {
    const target = relative(pkg.path, resolve(pkg.path, file, '..', specifier))
    if (target.startsWith('..')) return 'leaves the package: import the other package by its name'
    if (published && !target.startsWith(`src${sep}`) && target !== 'package.json') return 'src imports only src'
    return undefined
  }
  if (!specifier.startsWith(SCOPE)) return undefined
  const name = specifier.split('/', 2).join('/')
  if (name === pkg.name) return published ? 'a package does not import itself by name' : undefined
  if (!published) {
    return rule.sluice.includes(name) || TEST_HELPERS.includes(name) ? undefined : `${pkg.name} may not use ${name}`
  }
  if (!rule.sluice.includes(name)) return `${pkg.name} may not import ${name}`
  return specifier === `${name}/testing` && pkg.name !== TESTKIT ? 'testing is for tests' : undefined
}

function isAllowed(name: string, rule: PackageRule): boolean {
  return name.startsWith(SCOPE) ? rule.sluice.includes(name) : rule.thirdParty.some((pattern) => pattern.test(name))
}

// Static and dynamic imports, re-exports, `import type`, `import('x')` types and require. Comments may add a match:
// an example in a doc comment obeys the same arrows.
const SPECIFIER = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(['"])([^'"\n]+)\1/g

export function importSpecifiers(source: string): string[] {
  return Array.from(source.matchAll(SPECIFIER), (match) => match[2] ?? '')
}
