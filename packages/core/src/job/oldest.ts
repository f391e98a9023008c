import type { SinkWriter } from '../sink/spi.ts'
import type { Subtask } from './subtask.ts'

/** What holds the oldest entry back, for people. */
export function oldestReason(
  writers: ReadonlyMap<string, SinkWriter<unknown>>,
  subtasks: readonly Pick<Subtask, 'oldestCall'>[],
): string {
  let age = -1
  let reason = 'waiting for room in a sink'
  const note = (ageMs: number, words: string): void => {
    if (ageMs <= age) return
    age = ageMs
    reason = words
  }
  for (const [uid, writer] of writers) {
    const { oldest } = writer.status()
    if (oldest !== undefined) note(oldest.ageMs, `${uid}: ${oldest.reason}`)
  }
  for (const { oldestCall } of subtasks) if (oldestCall !== undefined) note(oldestCall.ageMs, oldestCall.reason)
  return reason
}
