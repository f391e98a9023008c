import type { Entry } from '../record/entry.ts'
import { timeNanos } from '../record/values.ts'

/** One record of a batch. */
export interface Item {
  /** Its place in the batch. */
  readonly index: number
  readonly entry: Entry
  /** How often its version was raised above that of the store. */
  readonly raises: number
}

/** A record that is not sent because another of the same request says the same or more. */
export interface Follower {
  readonly item: Item
  readonly leader: Item
  /** `same`: its outcome is that of the leader. `overwritten`: the leader has a higher version, and comes later. */
  readonly as: 'same' | 'overwritten'
}

export interface Layout {
  /** In the order in which they are sent: by series and measure name, then by time. */
  readonly send: readonly Item[]
  readonly followers: readonly Follower[]
  /** What must not share the request: the service does not say what it does with two values of one key in it. */
  readonly later: readonly Item[]
}

const NO_FOLLOWERS: readonly Follower[] = Object.freeze([])
const NO_ITEMS: readonly Item[] = Object.freeze([])

/**
 * Groups records by series and measure name and sorts each group by time, which the store takes faster; resolves records with the
 * same key (dimensions, measure name and time), so that a request has one of each.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/data-ingest.html
 *
 * @param keepsOrder - the records stay as they come: somebody asked for their order.
 * @param overwrites - what conflicts is sent again with a higher version: the last value of a key is to win, whatever its version.
 */
export function layOut(items: readonly Item[], keepsOrder: boolean, overwrites: boolean): Layout {
  if (areOfDifferentSeries(items)) return { send: items, followers: NO_FOLLOWERS, later: NO_ITEMS }
  const groups = groupsOf(items)
  if (groups.length === items.length) return { send: items, followers: NO_FOLLOWERS, later: NO_ITEMS }
  const send: Item[] = []
  const followers: Follower[] = []
  const later: Item[] = []
  for (const { items: group } of groups) {
    if (group.length > 1) group.sort(byTime)
    let start = 0
    while (start < group.length) {
      let end = start + 1
      while (end < group.length && byTime(group[start] as Item, group[end] as Item) === 0) end++
      const same = end - start
      send.push(same === 1 ? (group[start] as Item) : resolve(group.slice(start, end), overwrites, followers, later))
      start = end
    }
  }
  if (keepsOrder) send.sort((a, b) => a.index - b.index)
  return { send, followers, later }
}

/** More than twice as many as the service takes records: a look is then at the right place mostly. */
const SLOTS = 256
const slots = new Int32Array(SLOTS)

/** Most batches of many series are such. False if it is not sure. */
function areOfDifferentSeries(items: readonly Item[]): boolean {
  if (items.length * 2 > SLOTS) return false
  slots.fill(0)
  for (const { entry } of items) {
    const { hash } = entry.series
    // The highest bits: the lowest is the same in all.
    let slot = hash >>> 23
    while (slots[slot] !== 0) {
      if (slots[slot] === hash) return false
      slot = (slot + 1) % SLOTS
    }
    slots[slot] = hash
  }
  return true
}

interface Group {
  readonly measureName: string
  readonly items: Item[]
}

/** Groups in the order in which they appear. A series has few measure names: a list of them is faster than a map. */
function groupsOf(items: readonly Item[]): readonly Group[] {
  const groups: Group[] = []
  const ofSeries = new Map<string, Group[]>()
  for (const item of items) {
    const { series, form } = item.entry
    const { measureName } = form
    let own = ofSeries.get(series.identity)
    if (own === undefined) {
      own = []
      ofSeries.set(series.identity, own)
    }
    const group = own.find((other) => other.measureName === measureName)
    if (group !== undefined) {
      group.items.push(item)
      continue
    }
    const made = { measureName, items: [item] }
    own.push(made)
    groups.push(made)
  }
  return groups
}

/** One of the records with the same key, which are in the order of the batch; the others become followers, or wait. */
function resolve(same: readonly Item[], overwrites: boolean, followers: Follower[], later: Item[]): Item {
  let leader = same[0] as Item
  let waiting: Item[] = []
  const followed: { readonly item: Item; readonly as: Follower['as'] }[] = []
  for (const item of same.slice(1)) {
    const difference = compareVersions(item.entry, leader.entry)
    if (difference > 0) {
      followed.push({ item: leader, as: 'overwritten' })
      if (overwrites) {
        // Sent after it, they would be raised above it.
        for (const before of waiting) followed.push({ item: before, as: 'overwritten' })
        waiting = []
      }
      leader = item
    } else if (
      difference === 0 &&
      hasSameValues(item.entry, leader.entry) &&
      // It is to win over those that wait, too.
      !(overwrites && waiting.length > 0)
    ) {
      followed.push({ item, as: 'same' })
    } else waiting.push(item)
  }
  for (const item of waiting) later.push(item)
  for (const { item, as } of followed) {
    // What said the same as an earlier leader is overwritten with it.
    const isSame = as === 'same' && compareVersions(item.entry, leader.entry) === 0
    followers.push({ item, leader, as: isSame ? 'same' : 'overwritten' })
  }
  return leader
}

function hasSameValues(a: Entry, b: Entry): boolean {
  // A TIMESTAMP is meant in the unit of its record.
  const isSameForm = (a.form.type ?? 'DOUBLE') === (b.form.type ?? 'DOUBLE') && a.form.unit === b.form.unit
  return isSameForm && a.hasSameValues(b)
}

function compareVersions({ version: a = 1 }: Entry, { version: b = 1 }: Entry): number {
  return a > b ? 1 : a < b ? -1 : 0
}

/** Times are digits without leading zeros. */
function byTime({ entry: a }: Item, { entry: b }: Item): number {
  const [{ unit }, { unit: other }] = [a.form, b.form]
  if (unit !== other) {
    const [first, second] = [timeNanos(a.time, unit), timeNanos(b.time, other)]
    return first < second ? -1 : first > second ? 1 : 0
  }
  if (a.time.length !== b.time.length) return a.time.length - b.time.length
  return a.time < b.time ? -1 : a.time > b.time ? 1 : 0
}
