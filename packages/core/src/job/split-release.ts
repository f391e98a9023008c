import type { Clock } from '../runtime/clock.ts'
import { delay } from '../runtime/clock.ts'
import { failpoint } from '../runtime/failpoints.ts'
import type { SinkWriter } from '../sink/spi.ts'
import type { ReleasedSplit, ReleaseHow, SourceSplit } from '../source/spi.ts'
import type { SplitRelease } from '../tracker/options.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { EmitLoop, Member } from './assignments.ts'

export interface SplitReleasePlan {
  readonly clock: Clock
  readonly tracker: Tracker
  readonly members: readonly Member<EmitLoop>[]
  readonly writers: Iterable<Pick<SinkWriter<unknown>, 'release'>>
  /** Aborts when the attempt ends: what is in hand is then abandoned. */
  readonly signal: AbortSignal
  /** Sends partial batches, now and until the returned function is called. */
  hastenUntil(): () => void
  /** What may be acknowledged of a split and could not be yet. */
  takeUnacknowledged(member: Member<EmitLoop>, splitId: string): readonly unknown[]
  /** An open checkpoint that waits for inputs which are now given back would cover them. */
  giveUpCheckpoint(): void
}

/** Of the time that a release has, what is kept for the acknowledgement: a quarter, at most this many milliseconds. */
const MAX_ACKNOWLEDGE_MS = 1_000

/** Takes splits from their readers. From its first turn on nothing more of them is emitted. */
export async function releaseSplits(
  plan: SplitReleasePlan,
  splitIds: readonly string[],
  how: ReleaseHow,
  deadlineMs: number,
): Promise<readonly SourceSplit[]> {
  const { clock, tracker, members } = plan
  const endsAt = clock.now() + deadlineMs
  const waitUntil = endsAt - Math.min(MAX_ACKNOWLEDGE_MS, deadlineMs / 4)
  const owned = members.map((member) => ({
    member,
    ids: splitIds.filter((splitId) => member.reader.splitState(splitId) !== undefined),
  }))
  for (const { member, ids } of owned) {
    if (ids.length === 0) continue
    member.subtask.reportEmitted()
    member.reader.stopSplits(ids)
    for (const splitId of ids) tracker.stopSplit(splitId)
  }
  failpoint('release:stopped')
  const all = owned.flatMap(({ ids }) => ids)
  if (how === 'drained') await settle(plan, all, waitUntil - clock.now())
  const releases = giveBack(plan, all)
  failpoint('release:returned')
  if (how !== 'lost') await ended(plan, [...releases.values()], waitUntil - clock.now())
  failpoint('release:ended')
  const released: SourceSplit[] = []
  await Promise.all(
    owned.map(async ({ member, ids }) => {
      const splits = ids.flatMap((splitId) => settledState(plan, member, splitId, releases.get(splitId)) ?? [])
      released.push(...splits.map(({ split }) => split))
      if (splits.length > 0) await member.reader.releaseSplits(splits, how, Math.max(0, endsAt - clock.now()))
    }),
  )
  failpoint('release:acknowledged')
  return released
}

/** Lets what is in hand of the splits go its way. */
async function settle(plan: SplitReleasePlan, splitIds: readonly string[], waitMs: number): Promise<void> {
  const splits = splitIds.flatMap((splitId) => plan.tracker.splits.get(splitId) ?? [])
  const stop = plan.hastenUntil()
  await ended(
    plan,
    splits.map((split) => ({ split, unsettled: split.unsettled })),
    waitMs,
  )
  stop()
}

/** From here on, what is in hand of the splits and not being sent ends as returned. */
function giveBack(plan: SplitReleasePlan, splitIds: readonly string[]): ReadonlyMap<string, SplitRelease> {
  const { tracker, members, writers } = plan
  const releases = new Map<string, SplitRelease>()
  for (const splitId of splitIds) {
    const release = tracker.release(splitId)
    if (release !== undefined) releases.set(splitId, release)
  }
  if ([...releases.values()].some(({ unsettled }) => unsettled > 0)) plan.giveUpCheckpoint()
  for (const { subtask } of members) subtask.released()
  for (const writer of writers) for (const splitId of releases.keys()) writer.release(splitId)
  return releases
}

async function ended(plan: SplitReleasePlan, releases: readonly SplitRelease[], waitMs: number): Promise<void> {
  const waiting = releases.filter(({ split }) => split.unsettled > 0)
  if (waiting.length === 0 || waitMs <= 0) return
  const expired = new AbortController()
  const stop = (): void => expired.abort()
  plan.signal.addEventListener('abort', stop, { once: true })
  if (plan.signal.aborted) stop()
  await Promise.race([
    Promise.all(waiting.map((release) => plan.tracker.splitEnded(release))),
    delay(plan.clock, waitMs, expired.signal),
  ])
  plan.signal.removeEventListener('abort', stop)
  stop()
}

function settledState(
  plan: SplitReleasePlan,
  member: Member<EmitLoop>,
  splitId: string,
  release: SplitRelease | undefined,
): ReleasedSplit<SourceSplit> | undefined {
  const { tracker } = plan
  const emitted = member.reader.splitState(splitId)
  if (release === undefined) return emitted === undefined ? undefined : { split: emitted, receipts: [] }
  const first = tracker.firstNotSettled(release.split)
  const split = first === undefined ? emitted : first.before
  const receipts = [...plan.takeUnacknowledged(member, splitId), ...tracker.forget(release.split)]
  return split === undefined ? undefined : { split, receipts }
}
