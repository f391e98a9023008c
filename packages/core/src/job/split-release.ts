import type { Clock } from '../runtime/clock.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { within } from '../runtime/within.ts'
import type { SinkWriter } from '../sink/spi.ts'
import type { ReleasedSplit, ReleaseHow, SourceSplit } from '../source/spi.ts'
import type { SplitRelease } from '../tracker/options.ts'
import { Leaving } from '../tracker/splits.ts'
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
  /**
   * No checkpoint begins until the returned function is called: until then the splits are in no state that may be stored.
   *
   * @param isWrong - inputs in hand are given back: an open checkpoint would cover them.
   */
  giveUpCheckpoint(isWrong: boolean): (() => void) | undefined
}

/** Of the time that a release has, what is kept for the acknowledgement: a quarter, at most this many milliseconds. */
const MAX_ACKNOWLEDGE_MS = 1_000

export interface Released {
  /** Where they may go on. */
  readonly splits: readonly SourceSplit[]
  /** False when what is settled of them could not be acknowledged in time. */
  readonly isAcknowledged: boolean
}

/** A split on its way out of its reader. */
interface Owned {
  readonly splitId: string
  readonly member: Member<EmitLoop>
  readonly leaving: Leaving
}

interface GivenBack extends Owned {
  /** Undefined when nothing of the split was emitted. */
  readonly release: SplitRelease | undefined
}

/**
 * Takes splits from their readers. From its first turn on nothing more of them is emitted. A split that is being released already goes
 * to who asked first: what is in hand of it is no longer known by its id. Who asks again waits for the end of that, by its own
 * deadline: from then on, and at once when it asks because the split was `lost`, nothing of it is acknowledged any more.
 *
 * @throws whatever a reader's `releaseSplits` rejects with. No checkpoint begins any more then.
 */
export async function releaseSplits(
  plan: SplitReleasePlan,
  splitIds: readonly string[],
  how: ReleaseHow,
  deadlineMs: number,
): Promise<Released> {
  const { clock, tracker } = plan
  const endsAt = clock.now() + deadlineMs
  const waitUntil = endsAt - Math.min(MAX_ACKNOWLEDGE_MS, deadlineMs / 4)
  const before = splitIds.flatMap((splitId) => tracker.splits.leaving.get(splitId) ?? [])
  if (how === 'lost') for (const leaving of before) leaving.lose()
  const owned = stop(plan, splitIds, how)
  failpoint('release:stopped')
  if (how === 'drained') await settle(plan, owned, waitUntil - clock.now())
  const { given, letGo } = giveBack(plan, owned)
  failpoint('release:returned')
  await ended(plan, given, waitUntil - clock.now())
  failpoint('release:ended')
  const released = await forget(plan, given, how, endsAt)
  failpoint('release:acknowledged')
  for (const { splitId, leaving } of owned) {
    tracker.splits.leaving.delete(splitId)
    leaving.end()
  }
  if (before.length > 0) {
    await within(clock, endsAt - clock.now(), Promise.all(before.map(({ ended: isOut }) => isOut)))
    // Who asked first may have more time; who asked again has told others that they are theirs by now.
    for (const leaving of before) leaving.lose()
  }
  // In the turn in which this resolves the caller takes them into the state that the next checkpoint stores.
  if (letGo !== undefined) clock.afterPoll(letGo)
  return released
}

/** Nothing more is emitted of those that a reader has. */
function stop({ tracker, members }: SplitReleasePlan, splitIds: readonly string[], how: ReleaseHow): readonly Owned[] {
  const owned: Owned[] = []
  for (const member of members) {
    const ids = [...new Set(splitIds)].filter(
      (splitId) => member.reader.splitState(splitId) !== undefined && !tracker.splits.leaving.has(splitId),
    )
    if (ids.length === 0) continue
    member.subtask.reportEmitted()
    member.reader.stopSplits(ids)
    for (const splitId of ids) {
      const leaving = new Leaving(how === 'lost')
      tracker.splits.leaving.set(splitId, leaving)
      tracker.stopSplit(splitId)
      owned.push({ splitId, member, leaving })
    }
  }
  return owned
}

/** Lets what is in hand of the splits go its way. */
async function settle(plan: SplitReleasePlan, owned: readonly Owned[], waitMs: number): Promise<void> {
  const known = owned.map((each) => {
    const split = plan.tracker.splits.get(each.splitId)
    return { ...each, release: split === undefined ? undefined : { split, unsettled: split.unsettled } }
  })
  const stopHastening = plan.hastenUntil()
  await ended(plan, known, waitMs)
  stopHastening()
}

/** From here on, what is in hand of the splits and not being sent ends as returned. */
function giveBack(
  plan: SplitReleasePlan,
  owned: readonly Owned[],
): { readonly given: readonly GivenBack[]; readonly letGo: (() => void) | undefined } {
  const { tracker, members, writers } = plan
  const given = owned.map((each) => ({ ...each, release: tracker.release(each.splitId) }))
  const letGo = plan.giveUpCheckpoint(given.some(({ release }) => release !== undefined && release.unsettled > 0))
  for (const { subtask } of members) subtask.released()
  const emitted = given.filter(({ release }) => release !== undefined)
  for (const writer of writers) for (const { splitId } of emitted) writer.release(splitId)
  return { given, letGo }
}

/** Waits for what is in hand of those that are not lost. */
async function ended(plan: SplitReleasePlan, given: readonly GivenBack[], waitMs: number): Promise<void> {
  const waits = given.flatMap(({ release, leaving }) =>
    release === undefined || release.split.unsettled === 0 || leaving.isLost
      ? []
      : [Promise.race([plan.tracker.splitEnded(release), leaving.lost])],
  )
  if (waits.length > 0 && waitMs > 0) await within(plan.clock, waitMs, Promise.all(waits), plan.signal)
}

/** The readers forget the splits, as far as they are settled now. */
async function forget(
  plan: SplitReleasePlan,
  given: readonly GivenBack[],
  how: ReleaseHow,
  endsAt: number,
): Promise<Released> {
  const leftMs = Math.max(0, endsAt - plan.clock.now())
  const released: SourceSplit[] = []
  const calls: Promise<boolean>[] = []
  for (const member of plan.members) {
    const own = given.filter((each) => each.member === member)
    for (const lost of [false, true]) {
      const splits = own
        .filter(({ leaving }) => leaving.isLost === lost)
        .flatMap((each) => settledState(plan, each) ?? [])
      released.push(...splits.map(({ split }) => split))
      if (splits.length === 0) continue
      const loss = new AbortController()
      for (const { leaving } of own) void leaving.lost.then(() => loss.abort(new Error('the split is lost')))
      calls.push(member.reader.releaseSplits(splits, lost ? 'lost' : how, leftMs, loss.signal))
    }
  }
  const acknowledged = Promise.all(calls)
  const inTime = calls.length === 0 || (await within(plan.clock, leftMs, acknowledged))
  return { splits: released, isAcknowledged: inTime && (await acknowledged).every(Boolean) }
}

function settledState(
  plan: SplitReleasePlan,
  { member, splitId, release }: GivenBack,
): ReleasedSplit<SourceSplit> | undefined {
  const emitted = member.reader.splitState(splitId)
  const { tracker } = plan
  const earlier = plan.takeUnacknowledged(member, splitId)
  if (release === undefined) return emitted === undefined ? undefined : { split: emitted, receipts: earlier }
  const first = tracker.firstNotSettled(release.split)
  const split = first === undefined ? emitted : first.before
  const receipts = [...earlier, ...tracker.forget(release.split)]
  return split === undefined ? undefined : { split, receipts }
}
