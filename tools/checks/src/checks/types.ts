import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'

import { run } from '../run.ts'
import { readWorkspace } from '../workspace.ts'
import type { Check } from './check.ts'
import { workingFiles } from './sources.ts'

/** Holds type errors, one of them only visible to the strictest options: the type check has to refuse it. */
const CANARY = 'tools/checks/canary'

/**
 * Every project that no build covers: tests, benches, tools, apps. What `tsc` read is compared with what is there: a
 * file outside every project would otherwise never be checked.
 */
export function typeCheck(root: string): Check {
  return {
    name: 'types of sources, tests, tools and apps',
    async problems() {
      const problems: string[] = []
      const seen = new Set<string>()
      for (const project of projects(root)) {
        const { code, output } = await run('tsc', ['-p', project, '--noEmit', '--listFiles', '--pretty', 'false'], {
          cwd: root,
        })
        const lines = output.split('\n')
        for (const line of lines) if (line.startsWith(root)) seen.add(relative(root, line.trim()))
        if (code !== 0) problems.push(...lines.filter((line) => line !== '' && !line.startsWith('/')))
      }
      const missed = workingFiles(root).filter(
        (file) => /^(packages|apps|tools)\/.*\.ts$/.test(file) && !file.startsWith(`${CANARY}/`) && !seen.has(file),
      )
      return [...problems, ...missed.map((file) => `${file}: in no project that is type checked`)]
    },
  }
}

function projects(root: string): string[] {
  return readWorkspace(root).flatMap(({ folder }) =>
    ['tsconfig.test.json', 'tsconfig.json']
      .map((name) => join(folder, name))
      .filter((path) => existsSync(join(root, path)))
      .slice(0, 1),
  )
}

/** The proof that the type check can fail. */
export function typeCanary(root: string): Check {
  return {
    name: 'the type check refuses its canary',
    async problems() {
      const { code, output } = await run('tsc', ['-p', CANARY, '--noEmit', '--pretty', 'false'], { cwd: root })
      const found = new Set(Array.from(output.matchAll(/error (TS\d+)/g), (match) => match[1]))
      const expected = ['TS2322', 'TS2375', 'TS2578']
      const silent = expected.filter((error) => !found.has(error))
      if (code === 0) return ['tsc accepted a file with type errors']
      return silent.map((error) => `${error} was not reported in ${CANARY}:\n${output}`)
    },
  }
}
