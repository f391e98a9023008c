import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type NodeChild, spawnNode } from '@sluice/testkit'
import type { RunContext } from '../campaign.ts'
import { SABOTAGE_VARIABLE, SETTINGS_VARIABLE } from '../subject/settings.ts'
import type { FileLogUnderTest } from './file-log-servers.ts'
import type { FileLogSettings } from './file-log-settings.ts'

const POLL_MS = 10

/** Starts a process of the subject; its output is kept beside its state. */
export async function startFileLog(
  { folder, sabotage }: Pick<RunContext, 'folder' | 'sabotage'>,
  pipeline: FileLogUnderTest,
  given: Partial<FileLogSettings> & Pick<FileLogSettings, 'process'>,
): Promise<NodeChild> {
  const child = await spawnNode(pipeline.subject.entry, [], {
    env: fileLogEnv({ folder, sabotage }, { ...pipeline.subject.settings, ...given }),
  })
  void child.exit.then(() => {
    return appendFileSync(
      join(folder, `subject-${given.process}.log`),
      [...child.stdout, ...child.stderr, ''].join('\n'),
    )
  })
  return child
}

export function fileLogEnv(
  { folder, sabotage }: Pick<RunContext, 'folder' | 'sabotage'>,
  settings: FileLogSettings,
): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
    [SETTINGS_VARIABLE]: JSON.stringify(settings),
    ...(sabotage === undefined ? {} : { [SABOTAGE_VARIABLE]: sabotage }),
  }
}

/** @returns whether the condition held in time. */
export async function reached(condition: () => boolean, deadlineMs: number, signal: AbortSignal): Promise<boolean> {
  const deadlineAt = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > deadlineAt) return false
    await sleep(POLL_MS, undefined, { signal })
  }
  return true
}

/** @throws Error when it does not hold in time: the run cannot go on. */
export async function until(
  what: string,
  condition: () => boolean,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (!(await reached(condition, deadlineMs, signal))) throw new Error(`${what}: not within ${deadlineMs} ms`)
}
