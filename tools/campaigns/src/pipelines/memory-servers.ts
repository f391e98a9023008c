import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileCheckpoints, silentLogger } from '@sluice/core'
import type { AcknowledgementView, Coverage, PipelineDefinition, PipelineUnderTest } from '../campaign.ts'
import type { LogSplit } from '../memory/prefix-source.ts'
import { MemoryService } from '../memory/service.ts'
import { JOB, type MemorySettings, type MemoryShape } from './memory-settings.ts'

const CHECKPOINT_INTERVAL_MS = 120

/** A pipeline over the memory service, for campaigns that act on the service. */
export interface MemoryPipelineUnderTest extends PipelineUnderTest {
  readonly service: MemoryService
}

export interface MemoryPipeline extends PipelineDefinition {
  open(folder: string): Promise<MemoryPipelineUnderTest>
}

/** A log of splits; the subject's checkpoints keep the positions. */
const memoryPrefix: MemoryPipeline = {
  name: 'memory-prefix',
  summary: 'a log in memory, map, a store in memory; file checkpoints keep the positions',
  positionAuthority: 'checkpoint',
  open: (folder) => open(folder, 'prefix'),
}

/** A queue; each message is deleted when a checkpoint covers it. */
const memoryIndividual: MemoryPipeline = {
  name: 'memory-individual',
  summary: 'a queue in memory, map, a store in memory; messages are deleted one by one',
  positionAuthority: 'external',
  open: (folder) => open(folder, 'individual'),
}

/** A log whose group keeps the positions. */
const memoryExternal: MemoryPipeline = {
  name: 'memory-external',
  summary: 'a log in memory with a group, map, a store in memory; the group keeps the positions',
  positionAuthority: 'external',
  open: (folder) => open(folder, 'external'),
}

export const MEMORY_PIPELINES: readonly MemoryPipeline[] = [memoryPrefix, memoryIndividual, memoryExternal]

/** @throws RangeError when the pipeline is not over the memory service. */
export function openMemory(name: string, folder: string): Promise<MemoryPipelineUnderTest> {
  const pipeline = MEMORY_PIPELINES.find((each) => each.name === name)
  if (pipeline === undefined) throw new RangeError(`${name} is not a pipeline over the memory service`)
  return pipeline.open(folder)
}

async function open(folder: string, shape: MemoryShape): Promise<MemoryPipelineUnderTest> {
  const stateFolder = join(folder, 'state')
  await mkdir(stateFolder)
  const service = await MemoryService.start()
  const { endpoint, writes, acknowledgements, log, queue, group, store } = service
  const settings: MemorySettings = { endpoint, shape, stateFolder, checkpointIntervalMs: CHECKPOINT_INTERVAL_MS }
  const view: AcknowledgementView = {
    gate: acknowledgements,
    problems: group.problems,
    journal: () => (shape === 'individual' ? queue.journal : group.journal),
    subjectEnded() {
      queue.expire()
      group.expire()
    },
  }
  return {
    service,
    subject: { entry: new URL('memory.ts', import.meta.url), settings },
    gate: writes,
    produce: (records) => Promise.resolve(shape === 'individual' ? queue.produce(records) : log.produce(records)),
    arrivals: () => Promise.resolve(store.journal),
    coverage: () => coverage(service, shape, stateFolder),
    ...(shape === 'prefix' ? {} : { acknowledgements: view }),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  }
}

async function coverage(service: MemoryService, shape: MemoryShape, stateFolder: string): Promise<Coverage> {
  if (shape === 'individual') {
    const deleted = new Set(service.queue.deleted)
    return { checkpointId: 0, covers: ({ sequenceNumber }) => deleted.has(sequenceNumber) }
  }
  if (shape === 'external') {
    const splits = [...service.log.splits.keys()]
    const committed = new Map(splits.map((splitId) => [splitId, service.group.committed(splitId)] as const))
    return coverageOf(0, committed)
  }
  await using store = await fileCheckpoints(stateFolder).open(JOB, silentLogger)
  const checkpoint = await store.load()
  const splits = Object.values(checkpoint?.sources ?? {}).flatMap((state) => state.splits as readonly LogSplit[])
  return coverageOf(checkpoint?.id ?? 0, new Map(splits.map(({ splitId, next }) => [splitId, next])))
}

function coverageOf(checkpointId: number, next: ReadonlyMap<string, number>): Coverage {
  return {
    checkpointId,
    covers: ({ splitId, sequenceNumber }) => Number(sequenceNumber) < (next.get(splitId) ?? 0),
  }
}
