import type { SourceReader, SourceSplit } from '../../../src/index.ts'
import type { SourceService, SourceSubject } from '../../../src/testing/conformance-source/subject.ts'
import {
  type GroupService,
  groupSubject,
  memorySubject,
  type QueueService,
  queueSubject,
  type Spoil,
  type Value,
} from './services.ts'

export type Reader = SourceReader<Value, SourceSplit>
type Batch = NonNullable<ReturnType<Reader['poll']>>

/** A source with one fault, and the case that must find it. */
export interface Mutant {
  readonly fault: string
  readonly caughtBy: string
  readonly subject: SourceSubject<Value>
}

/** The methods of a reader as they were, free of `this`. */
export type Original = Pick<
  Reader,
  'poll' | 'ready' | 'addSplits' | 'emitted' | 'snapshotState' | 'splitState' | 'acknowledge' | 'recordEnded'
> &
  Pick<Reader, 'stopSplits' | 'releaseSplits' | 'stopFetching' | 'close'>

/** Replaces methods of every reader. */
export function spoilReader(change: (original: Original, service: SourceService<Value>) => Partial<Reader>): Spoil {
  return (source, service) => {
    const createReader = source.createReader.bind(source)
    source.createReader = (context) => {
      const reader = createReader(context)
      const original: Original = {
        poll: reader.poll.bind(reader),
        ready: reader.ready.bind(reader),
        addSplits: reader.addSplits.bind(reader),
        emitted: reader.emitted.bind(reader),
        snapshotState: reader.snapshotState.bind(reader),
        splitState: reader.splitState.bind(reader),
        acknowledge: reader.acknowledge.bind(reader),
        recordEnded: reader.recordEnded.bind(reader),
        stopSplits: reader.stopSplits.bind(reader),
        releaseSplits: reader.releaseSplits.bind(reader),
        stopFetching: reader.stopFetching.bind(reader),
        close: reader.close.bind(reader),
      }
      return Object.assign(reader, change(original, service))
    }
    return source
  }
}

/** Changes each batch that is polled. */
export function spoilBatch(change: (batch: Batch) => Partial<Batch>): Spoil {
  return spoilReader(({ poll, emitted }) => {
    const originals = new WeakMap<object, Batch>()
    return {
      poll: () => {
        const batch = poll()
        if (batch === undefined) return undefined
        const changed = Object.assign(Object.create(batch) as Batch, change(batch))
        originals.set(changed, batch)
        return changed
      },
      emitted: (batch, count) => emitted(originals.get(batch) ?? batch, count),
    }
  })
}

export function memory(fault: string, caughtBy: string, spoil: Spoil): Mutant {
  return { fault, caughtBy, subject: memorySubject(spoil) }
}

export function group(
  fault: string,
  caughtBy: string,
  change: (original: Original, service: GroupService) => Partial<Reader>,
): Mutant {
  return {
    fault,
    caughtBy,
    subject: groupSubject(spoilReader((reader, service) => change(reader, service as GroupService))),
  }
}

export function queue(
  fault: string,
  caughtBy: string,
  change: (original: Original, service: QueueService) => Partial<Reader>,
): Mutant {
  return {
    fault,
    caughtBy,
    subject: queueSubject(spoilReader((reader, service) => change(reader, service as QueueService))),
  }
}
