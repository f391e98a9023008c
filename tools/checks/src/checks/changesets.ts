import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { copyWorkspace, pendingChangesets } from '../publish/workspace-copy.ts'
import { run } from '../run.ts'
import { publishedPackages } from '../workspace.ts'
import type { Check } from './check.ts'

interface ReleasePlan {
  readonly changesets: readonly { readonly id: string; readonly summary: string }[]
  readonly releases: readonly { readonly name: string; readonly type: string; readonly changesets: readonly string[] }[]
}

const UNRELEASED = '0.0.0'

/**
 * Every pending changeset can be applied and says something, and every package that was never released has one.
 * Works in a copy: `changeset status` compares with a branch `main`, which a checkout need not have.
 */
export function changesets(root: string): Check {
  return {
    name: 'changesets',
    async problems() {
      const copy = mkdtempSync(join(tmpdir(), 'sluice-changesets-'))
      try {
        await copyWorkspace(root, copy)
        const { code, output } = await run('changeset', ['status', '--output=plan.json'], { cwd: copy })
        if (code !== 0) return [output.trim()]
        const plan: ReleasePlan = JSON.parse(readFileSync(join(copy, 'plan.json'), 'utf8'))
        return planProblems(root, plan)
      } finally {
        rmSync(copy, { recursive: true, force: true })
      }
    },
  }
}

function planProblems(root: string, plan: ReleasePlan): string[] {
  const problems: string[] = []
  const published = publishedPackages(root)
  const read = new Set(plan.changesets.map(({ id }) => `${id}.md`))
  for (const file of pendingChangesets(root)) {
    if (!read.has(file)) problems.push(`.changeset/${file} was not read`)
  }
  for (const { id, summary } of plan.changesets) {
    if (summary.trim() === '') problems.push(`.changeset/${id}.md says nothing`)
  }
  for (const { name, changesets: ids } of plan.releases) {
    const isPublished = published.some((each) => each.name === name)
    if (ids.length > 0 && !isPublished) problems.push(`.changeset/${ids[0]}.md: ${name} is private`)
  }
  for (const { name, manifest } of published) {
    const planned = plan.releases.some((release) => release.name === name && release.changesets.length > 0)
    if (manifest.version === UNRELEASED && !planned) problems.push(`${name} has no changeset for its first release`)
  }
  return problems
}
