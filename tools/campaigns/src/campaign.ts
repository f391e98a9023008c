import type { LedgerEntry } from '@sluice/core/testing'
import type { WriteGate } from './write-gate.ts'

/** A record as the campaign made it. */
export interface GeneratedRecord extends LedgerEntry {
  readonly payload: string
  /** Milliseconds since the epoch; no two records of a key share it, so that none replaces another in the store. */
  readonly timeMs: number
}

/** Where the source's service keeps a record. */
export interface Position {
  readonly splitId: string
  readonly sequenceNumber: string
}

/** A record that the source's service has taken in. */
export interface ProducedRecord extends LedgerEntry {
  readonly position: Position
}

/** A record that reached the store, in order of arrival, from the store's journal. */
export interface Arrival {
  /** The hash is computed anew from what arrived; an altered record has one that was never produced. */
  readonly entry: LedgerEntry
  readonly outcome: 'stored' | 'rejected'
  /** The store held another value under the record's key. */
  readonly conflict: boolean
  readonly requestId: string
  /** `process.hrtime.bigint()` when it was journalled. */
  readonly atNs: bigint
}

/** What the newest stored checkpoint says: these records will not be read again. */
export interface Coverage {
  /** 0 when there is no checkpoint yet. */
  readonly checkpointId: number
  covers(position: Position): boolean
}

/** The checker's view of a source's service that keeps positions. */
export interface AcknowledgementView {
  /** Stands before the service's acknowledgements. */
  readonly gate: WriteGate
  /** What no correct subject asks for, such as a position that moves back. */
  readonly problems: readonly string[]
  /** Every record that was acknowledged, in order. */
  journal(): readonly Acknowledgement[]
  /** The subject has ended: what it held in the service is given to the next one at once, as after its timeout. */
  subjectEnded(): void
}

/** The servers around a subject, and the checker's view of them. The subject can reach neither journal nor ledger. */
export interface PipelineUnderTest extends AsyncDisposable {
  /** The program that is put under faults, and the JSON that it is given in `SLUICE_CAMPAIGN_SUBJECT`. */
  readonly subject: { readonly entry: URL; readonly settings: object }
  /** Stands before the store. */
  readonly gate: WriteGate
  /** Puts the records into the source's service. Rejects when it is not known which of them were taken. */
  produce(records: readonly GeneratedRecord[]): Promise<readonly ProducedRecord[]>
  /** Everything that is in the journal now. */
  arrivals(): Promise<readonly Arrival[]>
  /** What will not be read again: by the stored checkpoint, or by what was acknowledged. Only while no subject runs. */
  coverage(): Promise<Coverage>
  /** What the store gives back when it is asked, where that is not its journal. */
  readBack?(): Promise<readonly LedgerEntry[]>
  /** Only with position authority `external`. */
  readonly acknowledgements?: AcknowledgementView
}

/** A record that the subject has acknowledged, from the journal of the source's service. */
export interface Acknowledgement {
  readonly position: Position
  /** `process.hrtime.bigint()` when it was journalled. */
  readonly atNs: bigint
}

/** Starts the servers of one pipeline, anew for each run. */
export interface PipelineDefinition {
  readonly name: string
  readonly summary: string
  /** Who keeps the positions: the subject's checkpoints, or the source's service. */
  readonly positionAuthority: 'checkpoint' | 'external'
  /** Whether records of one key have to arrive in order. @default false */
  readonly ordered?: boolean
  /** Whether the store refuses some repeats of what it holds, so that the subject drops them. @default false */
  readonly refusesRepeats?: boolean
  /** @param folder - holds the data of the servers and the state of the subject. */
  open(folder: string): Promise<PipelineUnderTest>
}

/** How much a campaign does. */
export interface Size {
  /** Faults to plan, of the campaign's kind. */
  readonly faults: number
  readonly records: number
  /** How long a campaign lasts that goes by time; absent for the others. */
  readonly minutes?: number
}

/** What a run was asked for. */
export interface RunOptions {
  readonly pipeline: PipelineDefinition
  readonly seed: number
  readonly size: Size
  readonly sabotage: string | undefined
}

export interface RunContext extends RunOptions {
  /** Of this run alone; kept when it fails. */
  readonly folder: string
  /** Aborted when the run is to end early. */
  readonly signal: AbortSignal
  /** Prints one line of progress. */
  print(line: string): void
}

/** The closing JSON line. A campaign may add figures of its own. */
export interface CampaignReport {
  readonly campaign: string
  readonly pipeline: string
  readonly seed: number
  readonly ok: boolean
  /** False when the run broke off: then it has judged nothing, and a sabotage was not caught. */
  readonly completed: boolean
  readonly sabotage: string | null
  readonly produced: number
  readonly stored: number
  readonly deadLettered: number
  readonly missing: number
  readonly duplicates: number
  readonly reordered: number
  readonly corrupted: number
  readonly dropped: number
  readonly returned: number
  readonly abandoned: number
  readonly conflicts: number
  readonly faultsPlanned: number
  readonly faultsFired: number
  readonly requestsRepeated: number
  readonly seconds: number
  readonly failures: readonly string[]
}

/** One campaign: faults of one kind, and the rules that a pipeline has to keep under them. */
export interface Campaign {
  readonly name: string
  readonly summary: string
  /** The first one is the default. */
  readonly pipelines: readonly PipelineDefinition[]
  /** What its faults are, in words: `kills`. */
  readonly faults: string
  /** Deliberate defects that it must catch. */
  readonly sabotages: readonly string[]
  readonly full: Size
  readonly quick: Size
  /** Why a size cannot prove anything with the pipeline; empty if it can. */
  problems(size: Size, pipeline: PipelineDefinition): readonly string[]
  /** Never rejects: what went wrong is a failure in the report. */
  run(context: RunContext): Promise<CampaignReport>
}
