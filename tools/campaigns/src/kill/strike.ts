import { setTimeout as sleep } from 'node:timers/promises'
import type { PipelineUnderTest } from '../campaign.ts'
import type { KillPlan } from './plan.ts'
import type { SubjectProcess } from './subject-process.ts'
import { FAILPOINTS } from './windows.ts'

/** What the gate held when the kill came. */
export interface Struck {
  readonly held: number
  readonly unanswered: number
  /** Acknowledgements that the source's service had applied and not answered. */
  readonly acknowledgementsUnanswered: number
}

const LOOK_MS = 3
/** Until a kill that has not come counts as missed. */
const DEADLINE_MS = 15_000
/**
 * A request that is killed before the store has it is held so long, or until two more checkpoints have completed. With a
 * correct subject none that covers it completes; one that acknowledges early gets the time to store that.
 */
const HOLD_MS = 800
const CHECKPOINTS_HELD = 2

/** Waits for the moment of the plan, kills the subject there, and resolves when it is dead. */
export async function strike(
  plan: KillPlan,
  subject: SubjectProcess,
  pipeline: PipelineUnderTest,
  signal: AbortSignal,
): Promise<Struck> {
  const { gate, acknowledgements } = pipeline
  let struck: Struck = { held: 0, unanswered: 0, acknowledgementsUnanswered: 0 }
  const kill = (): void => {
    if (subject.ended !== undefined) return
    struck = {
      held: gate.held,
      unanswered: gate.unanswered,
      acknowledgementsUnanswered: acknowledgements?.gate.unanswered ?? 0,
    }
    subject.kill()
  }
  const killed = async (): Promise<void> => {
    kill()
    await subject.exit
  }
  const deadlineAt = performance.now() + DEADLINE_MS
  const until = async (condition: () => boolean, limitAt = deadlineAt): Promise<void> => {
    while (subject.ended === undefined && performance.now() < limitAt && !condition()) {
      await sleep(LOOK_MS, undefined, { signal })
    }
  }
  if (isStruckFromHere(plan.aim)) await until(() => (subject.figures()?.advanced ?? 0) >= plan.checkpoints)
  switch (plan.aim) {
    case 'in-flight':
      gate.aim({
        at: 'request',
        nth: plan.nth,
        strike: async () => {
          const before = subject.figures()?.completed ?? 0
          const passed = (): boolean => (subject.figures()?.completed ?? 0) >= before + CHECKPOINTS_HELD
          await until(passed, performance.now() + HOLD_MS)
          await killed()
        },
      })
      break
    case 'applied-unanswered':
      gate.aim({ at: 'answer', nth: plan.nth, strike: killed })
      break
    case 'during-ack':
      acknowledgements?.gate.aim({ at: 'answer', nth: plan.nth, strike: killed })
      break
    case 'buffered':
      await until(() => (subject.figures()?.buffered ?? 0) >= plan.nth)
      kill()
      break
    case 'random':
      await until(() => (subject.figures()?.emitted ?? 0) > 0)
      await until(() => false, performance.now() + plan.delayMs)
      kill()
      break
    case 'fetch':
    case 'settled-before-store':
    case 'stored-before-ack':
      break
  }
  await until(() => false)
  kill()
  await subject.exit
  subject.assertNotCrashed()
  return struck
}

function isStruckFromHere(aim: KillPlan['aim']): boolean {
  return aim === 'random' || FAILPOINTS[aim] === undefined
}
