import { setTimeout as sleep } from 'node:timers/promises'
import type { SubjectProcess } from '../kill/subject-process.ts'
import type { MemoryPipelineUnderTest } from '../pipelines/memory-servers.ts'
import { DRAIN_DEADLINE_MS, RESTART_GRACE_MS } from '../pipelines/memory-settings.ts'
import type { SignalPlan } from './plan.ts'

/** What was there when the signal was sent, and how long the process then took. */
export interface Struck {
  readonly landed: boolean
  /** Records emitted and without an outcome. */
  readonly unsettled: number
  readonly tookMs: number
}

const LOOK_MS = 3
/** Until a moment that does not come counts as missed. */
const MOMENT_DEADLINE_MS = 10_000
const GRACE_MS = DRAIN_DEADLINE_MS + RESTART_GRACE_MS
/** A busy machine; a process that has not ended by then hangs. */
const TOLERANCE_MS = 2_500
export const MAX_ENDING_MS: number = GRACE_MS + TOLERANCE_MS
const BEFORE_SECOND_MS = 300

/** Waits for the moment of the plan, sends the signal, and resolves when the process has ended; one that hangs is killed. */
export async function strike(
  plan: SignalPlan,
  subject: SubjectProcess,
  pipeline: MemoryPipelineUnderTest,
  signal: AbortSignal,
): Promise<Struck> {
  const { service, gate } = pipeline
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal })
  const until = async (condition: () => boolean): Promise<boolean> => {
    const deadlineAt = performance.now() + MOMENT_DEADLINE_MS
    while (subject.ended === undefined && performance.now() < deadlineAt) {
      if (condition()) return true
      await pause(LOOK_MS)
    }
    return false
  }
  const emitted = (): number => subject.figures()?.emitted ?? 0
  let landed = false
  let sentAt = 0
  let unsettled = 0
  const send = (): void => {
    sentAt = performance.now()
    unsettled = subject.figures()?.unsettled ?? 0
    subject.terminate()
  }
  switch (plan.kind) {
    case 'start':
      await pause(plan.delayMs)
      landed = subject.ended === undefined
      send()
      break
    case 'running':
      landed = await until(() => emitted() > 0)
      await pause(plan.delayMs)
      send()
      break
    case 'checkpoint':
      landed = await until(() => subject.figures()?.diedAt !== '' && subject.figures() !== undefined)
      sentAt = performance.now()
      unsettled = subject.figures()?.unsettled ?? 0
      break
    case 'restart':
      await until(() => emitted() > 0)
      service.fault = (path) => (path.startsWith('/store') ? undefined : 'cut')
      landed = await until(() => subject.figures()?.state === 'restarting')
      await pause(plan.delayMs / 2)
      send()
      break
    case 'short':
    case 'second': {
      await until(() => emitted() > 0)
      const resume = gate.pause()
      landed = await until(() => gate.held > 0 && (subject.figures()?.unsettled ?? 0) > 0)
      send()
      if (plan.kind === 'second') {
        await pause(BEFORE_SECOND_MS)
        subject.terminate()
      }
      await ended(subject)
      resume()
      break
    }
  }
  await ended(subject)
  service.fault = () => undefined
  return { landed, unsettled, tookMs: performance.now() - sentAt }
}

async function ended(subject: SubjectProcess): Promise<void> {
  const hangs = setTimeout(() => subject.kill(), MAX_ENDING_MS)
  await subject.exit
  clearTimeout(hangs)
}
