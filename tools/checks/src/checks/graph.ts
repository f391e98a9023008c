import { publishedPackages, readWorkspace } from '../workspace.ts'
import type { Check } from './check.ts'

/** The publishing proof needs every published package built: it has to be a dependency of the checks. */
export function publishedAreProved(root: string): Check {
  return {
    name: 'every published package is in the publishing proof',
    problems() {
      const checks = readWorkspace(root).find((each) => each.folder === 'tools/checks')
      const known = { ...checks?.manifest.devDependencies }
      const missing = publishedPackages(root).filter(({ name }) => known[name] === undefined)
      return Promise.resolve(missing.map(({ name }) => `tools/checks/package.json: devDependencies lacks ${name}`))
    },
  }
}
