import { OptionsCheck } from '../../options.ts'
import type { Source, SourceSplit } from '../../source/spi.ts'
import type { VirtualClock } from '../virtual-clock.ts'

/**
 * The shape of a source. It is declared; nothing else excuses a case of the kit, and a case that is skipped for one is named in the
 * kit's last line.
 */
export interface SourceAbilities {
  /** As the source's own. */
  readonly acknowledgement: 'prefix' | 'individual'
  /** As the source's own. */
  readonly assignment: 'enumerator' | 'external'
  /** As the source's own. */
  readonly positionAuthority: 'checkpoint' | 'external'
  /** What can end: nothing, single splits, or the splits and with them the whole input. */
  readonly bounded: 'never' | 'splits' | 'input'
  /** Records may have a group, of which one is in hand at a time. Needs individual acknowledgement. */
  readonly groups: boolean
  /** Whether the service may have dropped records that were not read: then the source fails, or the user may also choose to go on. */
  readonly lostPositions: 'never' | 'fail' | 'policy'
}

/** The closed list: each ability with its values. */
const SOURCE_ABILITIES: { readonly [Name in keyof SourceAbilities]: readonly SourceAbilities[Name][] } = {
  acknowledgement: ['prefix', 'individual'],
  assignment: ['enumerator', 'external'],
  positionAuthority: ['checkpoint', 'external'],
  bounded: ['never', 'splits', 'input'],
  groups: [true, false],
  lostPositions: ['never', 'fail', 'policy'],
}

/** Describes a record that the kit wants in the service. */
export interface SourceRecord {
  /** Must appear as text in the raw record, also in one that cannot be decoded. */
  readonly id: string
  /** The group, with the ability `groups`. */
  readonly group?: string
  /** The source must not be able to decode it. */
  readonly undecodable: boolean
  /** Raw bytes, at least, where records can be of any size. */
  readonly sizeBytes: number
}

/** How the source of a case is to be made. */
export interface SourceSettings {
  /** Where the first start begins: only with prefix acknowledgement. */
  readonly initialPosition: 'earliest' | 'latest'
  /** With the ability `lostPositions: 'policy'`. */
  readonly onPositionLost: 'fail' | 'earliest' | 'latest'
}

/** What one case gives to the subject to make its service with. */
export interface SourceStage {
  /** The time of the sources: to be moved on only where `expire` needs it. */
  readonly clock: VirtualClock
  /** Records of one fetch, at most, where that can be set: few, so that a case needs several fetches. */
  readonly maxRecordsPerFetch: number
}

/**
 * The service that a source reads, or a fake of it that speaks its protocol, and what the kit does to it. It outlives the sources that
 * are made over it, as a service outlives processes.
 */
export interface SourceService<T> {
  /** The splits that there are, two at least, in the order in which one reader would be given them. With `individual`, none. */
  readonly splitIds: readonly string[]
  /** What the sources are made with. */
  readonly maxFetchedBytes: number
  /** Requests for records that were begun. */
  readonly fetches: number
  /** Requests for records that have no answer and were not given up. */
  readonly openFetches: number
  /** Connections, clients and members that sources have not let go of. */
  readonly openHandles: number
  /** The source as a process makes it; called again for another process, or the next one. */
  createSource(settings: SourceSettings): Source<T, SourceSplit, unknown>
  /** What the value of a record says of its id. */
  idOf(value: T): string
  /** Puts records into a split; with `individual`, which has none to choose, into the queue. */
  put(splitId: string, records: readonly SourceRecord[]): void
  /** The next request for records fails: so that a restart may help, or never. A source may also repeat the former itself. */
  failNextFetch(how: 'restartable' | 'final'): void
  /** The next request for records has no answer. */
  hangNextFetch(): void
  /** No record of this split follows. With `bounded: 'splits' | 'input'`. */
  endSplit?(splitId: string): void
  /** No record follows. With `bounded: 'input'`. */
  endInput?(): void
  /** The first `count` records of a split are gone; with `lostPositions: 'fail'` it may be more. Unless `lostPositions: 'never'`. */
  expire?(splitId: string, count: number): void | Promise<void>
  /** Records of a split that lie before its committed position. With external authority and `prefix`. */
  committed?(splitId: string): number
  /** Ids of the records that were acknowledged, in that order. With `individual`. */
  acknowledged?(): readonly string[]
  /** The next acknowledgement is refused, and has no effect. With external authority. */
  failNextAcknowledgement?(): void
  /**
   * The next acknowledgement has no effect and no answer until the returned function is called; when the source gave it up before,
   * never. With external authority.
   */
  holdNextAcknowledgement?(): () => void
  /** What is in hand is delivered again, as after its time. With `individual`. */
  redeliver?(): void
  /** Takes splits from the source, which is asked before. With `assignment: 'external'`. Resolves when it has given them up. */
  revoke?(splitIds: readonly string[]): Promise<void>
  /** As `revoke`, but the source learns that another has them already. */
  lose?(splitIds: readonly string[]): Promise<void>
  /** Gives splits to the source that nobody has. */
  assign?(splitIds: readonly string[]): Promise<void>
}

/** A source under test, and its service. */
export interface SourceSubject<T> {
  readonly name: string
  readonly abilities: SourceAbilities
  open(stage: SourceStage): SourceService<T> | Promise<SourceService<T>>
}

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function checkSubject(subject: SourceSubject<unknown>): void {
  const names = Object.keys(SOURCE_ABILITIES) as (keyof SourceAbilities)[]
  const check = new OptionsCheck('describeSource', subject, ['name', 'abilities', 'open'])
  check.string('name', { required: true })
  check.function('open', true)
  const abilities = new OptionsCheck('describeSource', subject.abilities, names, 'abilities.')
  for (const problem of abilities.problems) check.problem(problem)
  const given: Partial<SourceAbilities> = subject.abilities ?? {}
  for (const name of names) {
    const allowed: readonly unknown[] = SOURCE_ABILITIES[name]
    if (allowed.includes(given[name])) continue
    const list = allowed.map((value) => JSON.stringify(value)).join(', ')
    check.problem(`abilities.${name} must be one of ${list}, got ${JSON.stringify(given[name]) ?? 'undefined'}`)
  }
  if (given.groups === true && given.acknowledgement !== 'individual') {
    check.problem("abilities.groups needs acknowledgement 'individual'")
  }
  if (given.acknowledgement === 'individual' && given.bounded !== undefined && given.bounded !== 'never') {
    check.problem("abilities.bounded must be 'never' with acknowledgement 'individual'")
  }
  check.throwIfAny()
}

/** Methods of the service that an ability needs. @throws Error that names those which are missing. */
export function checkService(service: SourceService<unknown>, abilities: SourceAbilities): void {
  const { acknowledgement, assignment, positionAuthority, bounded, lostPositions } = abilities
  const needed: (keyof SourceService<unknown>)[] = []
  if (bounded !== 'never') needed.push('endSplit')
  if (bounded === 'input') needed.push('endInput')
  if (lostPositions !== 'never') needed.push('expire')
  if (positionAuthority === 'external') needed.push('failNextAcknowledgement', 'holdNextAcknowledgement')
  if (positionAuthority === 'external' && acknowledgement === 'prefix') needed.push('committed')
  if (acknowledgement === 'individual') needed.push('acknowledged', 'redeliver')
  if (assignment === 'external') needed.push('revoke', 'lose', 'assign')
  const missing = needed.filter((name) => service[name] === undefined)
  if (missing.length > 0) throw new Error(`the service lacks ${missing.join(', ')}, which its abilities need`)
  if (acknowledgement === 'prefix' && service.splitIds.length < 2) throw new Error('the service needs two splits')
}
