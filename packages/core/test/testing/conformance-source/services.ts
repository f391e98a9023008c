import { SluiceError } from '../../../src/index.ts'
import type {
  SourceRecord,
  SourceService,
  SourceSettings,
  SourceStage,
  SourceSubject,
} from '../../../src/testing/conformance-source/subject.ts'
import { InMemoryGroupLog } from '../../../src/testing/in-memory-group-log.ts'
import { InMemoryGroupSource } from '../../../src/testing/in-memory-group-source.ts'
import { InMemoryQueueSource } from '../../../src/testing/in-memory-queue-source.ts'
import { InMemoryQueue } from '../../../src/testing/in-memory-queue.ts'
import { InMemorySource } from '../../../src/testing/in-memory-source.ts'
import { MemoryLog } from '../../../src/testing/memory-log.ts'
import { ScriptedSource } from '../../../src/testing/scripted-source.ts'

export interface Value {
  readonly id: string
}

export type Source = ReturnType<SourceService<Value>['createSource']>

const MAX_FETCHED_BYTES = 2000

function fetchFailure(how: 'restartable' | 'final'): SluiceError {
  return new SluiceError('SLUICE_SOURCE_FAILED', 'the service failed', { restartable: how === 'restartable' })
}

export class MemoryService implements SourceService<Value> {
  readonly splitIds: readonly string[] = ['a', 'b']
  readonly maxFetchedBytes: number = MAX_FETCHED_BYTES
  readonly log: MemoryLog<Value> = new MemoryLog('the log', this.splitIds)
  readonly #maxBatchSize: number

  constructor({ maxRecordsPerFetch }: SourceStage) {
    this.#maxBatchSize = maxRecordsPerFetch
  }

  get fetches(): number {
    return this.log.fetches
  }
  get openFetches(): number {
    return this.log.waiting
  }
  get openHandles(): number {
    return this.log.waiting
  }
  createSource(settings: SourceSettings): Source {
    return new InMemorySource<Value>({
      ...settings,
      log: this.log,
      maxBatchSize: this.#maxBatchSize,
      maxFetchedBytes: MAX_FETCHED_BYTES,
    })
  }
  idOf({ id }: Value): string {
    return id
  }
  put(splitId: string, records: readonly SourceRecord[]): void {
    for (const { id, undecodable } of records) this.log.push(splitId, [{ id }], undecodable)
  }
  failNextFetch(how: 'restartable' | 'final'): void {
    this.log.failNextFetch(fetchFailure(how))
  }
  /** A fetch waits for records anyway. */
  hangNextFetch(): void {}
  endSplit(splitId: string): void {
    this.log.endSplit(splitId)
  }
  endInput(): void {
    this.log.end()
  }
  expire(splitId: string, count: number): void {
    this.log.expire(splitId, count)
  }
}

/** The fourth shape: our enumerator assigns, and the service keeps the positions. */
class ScriptedService extends MemoryService {
  #source: ScriptedSource<Value> | undefined

  override createSource({ initialPosition }: SourceSettings): Source {
    this.#source ??= new ScriptedSource<Value>({
      initialPosition,
      log: this.log,
      positionAuthority: 'external',
      maxBatchSize: 5,
      maxFetchedBytes: MAX_FETCHED_BYTES,
    })
    return this.#source
  }
  committed(splitId: string): number {
    return this.#source?.committed(splitId) ?? 0
  }
  failNextAcknowledgement(): void {
    this.#source?.nextCommit('reject')
  }
  holdNextAcknowledgement(): () => void {
    this.#source?.nextCommit('hold')
    return () => this.#source?.answerAll()
  }
}

export class GroupService implements SourceService<Value> {
  readonly splitIds: readonly string[] = ['a', 'b']
  readonly maxFetchedBytes: number = MAX_FETCHED_BYTES
  readonly log: InMemoryGroupLog<Value> = new InMemoryGroupLog({ splits: this.splitIds })
  readonly #maxBatchSize: number

  constructor({ maxRecordsPerFetch }: SourceStage) {
    this.#maxBatchSize = maxRecordsPerFetch
  }

  get fetches(): number {
    return this.log.records.fetches
  }
  get openFetches(): number {
    return this.log.records.waiting
  }
  get openHandles(): number {
    return this.log.members.length + this.openFetches
  }
  createSource(settings: SourceSettings): Source {
    return new InMemoryGroupSource<Value>({
      ...settings,
      log: this.log,
      maxBatchSize: this.#maxBatchSize,
      maxFetchedBytes: MAX_FETCHED_BYTES,
    })
  }
  idOf({ id }: Value): string {
    return id
  }
  put(splitId: string, records: readonly SourceRecord[]): void {
    for (const { id, undecodable } of records) {
      if (undecodable) this.log.pushUndecodable(splitId, { id })
      else this.log.push(splitId, { id })
    }
  }
  failNextFetch(how: 'restartable' | 'final'): void {
    this.log.failNextFetch(fetchFailure(how))
  }
  hangNextFetch(): void {}
  endSplit(splitId: string): void {
    this.log.endSplit(splitId)
  }
  endInput(): void {
    this.log.end()
  }
  expire(splitId: string, count: number): void {
    this.log.expire(splitId, count)
  }
  committed(splitId: string): number {
    return this.log.committed(splitId) ?? 0
  }
  failNextAcknowledgement(): void {
    this.log.failNextCommit(new Error('the commit was refused'))
  }
  holdNextAcknowledgement(): () => void {
    return this.log.holdNextCommit()
  }
  revoke(revoke: readonly string[]): Promise<void> {
    return this.log.rebalance({ revoke })
  }
  lose(lose: readonly string[]): Promise<void> {
    return this.log.rebalance({ lose })
  }
  assign(assign: readonly string[]): Promise<void> {
    return this.log.rebalance({ assign })
  }
}

export class QueueService implements SourceService<Value> {
  readonly splitIds: readonly string[] = []
  readonly maxFetchedBytes: number = MAX_FETCHED_BYTES
  readonly queue: InMemoryQueue<Value>
  readonly #maxBatchSize: number
  readonly #ids = new Map<string, string>()

  constructor({ clock, maxRecordsPerFetch }: SourceStage) {
    this.queue = new InMemoryQueue({ clock, visibilityMs: 3_600_000 })
    this.#maxBatchSize = maxRecordsPerFetch
  }

  get fetches(): number {
    return this.queue.receives
  }
  get openFetches(): number {
    return this.queue.waiting
  }
  get openHandles(): number {
    return this.queue.waiting
  }
  createSource(): Source {
    return new InMemoryQueueSource<Value>({
      queue: this.queue,
      maxBatchSize: this.#maxBatchSize,
      maxFetchedBytes: MAX_FETCHED_BYTES,
    })
  }
  idOf({ id }: Value): string {
    return id
  }
  put(_: string, records: readonly SourceRecord[]): void {
    for (const { id, group, undecodable } of records) {
      const send = undecodable ? this.queue.sendUndecodable({ id }, group) : this.queue.send({ id }, group)
      this.#ids.set(send, id)
    }
  }
  failNextFetch(how: 'restartable' | 'final'): void {
    this.queue.failNextReceive(fetchFailure(how))
  }
  hangNextFetch(): void {}
  acknowledged(): readonly string[] {
    return this.queue.deleted.map((messageId) => this.#ids.get(messageId) ?? messageId)
  }
  failNextAcknowledgement(): void {
    this.queue.failNextDelete(new Error('the delete was refused'))
  }
  holdNextAcknowledgement(): () => void {
    return this.queue.holdNextDelete()
  }
  redeliver(): void {
    this.queue.redeliver()
  }
}

/** What a mutant changes: the source that the service makes. */
export type Spoil = (source: Source, service: SourceService<Value>) => Source

function spoiled<Service extends SourceService<Value>>(service: Service, spoil: Spoil): Service {
  const createSource = service.createSource.bind(service)
  service.createSource = (settings) => spoil(createSource(settings), service)
  return service
}

const asIs: Spoil = (source) => source

export function memorySubject(spoil: Spoil = asIs): SourceSubject<Value> {
  return {
    name: 'InMemorySource',
    abilities: {
      acknowledgement: 'prefix',
      assignment: 'enumerator',
      positionAuthority: 'checkpoint',
      bounded: 'input',
      groups: false,
      lostPositions: 'policy',
    },
    open: (stage) => spoiled(new MemoryService(stage), spoil),
  }
}

export function scriptedSubject(): SourceSubject<Value> {
  const abilities = { ...memorySubject().abilities, positionAuthority: 'external', lostPositions: 'fail' } as const
  return { name: 'ScriptedSource', abilities, open: (stage) => new ScriptedService(stage) }
}

export function groupSubject(spoil: Spoil = asIs): SourceSubject<Value> {
  return {
    name: 'InMemoryGroupSource',
    abilities: {
      acknowledgement: 'prefix',
      assignment: 'external',
      positionAuthority: 'external',
      bounded: 'input',
      groups: false,
      lostPositions: 'policy',
    },
    open: (stage) => spoiled(new GroupService(stage), spoil),
  }
}

export function queueSubject(spoil: Spoil = asIs): SourceSubject<Value> {
  return {
    name: 'InMemoryQueueSource',
    abilities: {
      acknowledgement: 'individual',
      assignment: 'enumerator',
      positionAuthority: 'external',
      bounded: 'never',
      groups: true,
      lostPositions: 'never',
    },
    open: (stage) => spoiled(new QueueService(stage), spoil),
  }
}
