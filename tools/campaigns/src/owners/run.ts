import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { SluiceError } from '@sluice/core'
import type { NodeChild } from '@sluice/testkit'
import type { Coverage, ProducedRecord, RunContext } from '../campaign.ts'
import { Generator } from '../ledger/generator.ts'
import { coveredButMissing, identityOf } from '../ledger/repeats.ts'
import { reached, startFileLog, until } from '../pipelines/file-log-process.ts'
import type { FileLogFacts } from '../pipelines/file-log-report.ts'
import { type FileLogUnderTest, openFileLog } from '../pipelines/file-log-servers.ts'
import type { FileLogEvent, FileLogSettings } from '../pipelines/file-log-settings.ts'
import { hasNamespaces, NamespaceProcess } from './namespace.ts'
import { type FreezePoint, type OwnerFault, ownerPlan } from './plan.ts'
import { brokenStale, brokenStarts, saidBy } from './rules.ts'

const TIME_BEFORE_START_MS = 600_000
/** From the spawning of two processes to their start. */
const MEETING_MS = 900
const STEP_MS = 20_000
const RETRY_MS = 20
/** An owner that was overtaken looks at its place at every checkpoint. */
const STALE_DEADLINE_MS = 4_000

export interface OwnersFigures {
  readonly races: number
  readonly frozen: number
  readonly namespaces: number
}

export class OwnersRun {
  readonly #context: RunContext
  readonly #facts: FileLogFacts
  readonly #produced: ProducedRecord[] = []
  readonly #generator: Generator
  readonly #pipeline: FileLogUnderTest
  #processes = 0

  constructor(context: RunContext, facts: FileLogFacts) {
    this.#context = context
    this.#facts = facts
    this.#generator = new Generator(context.seed, Date.now() - TIME_BEFORE_START_MS)
    this.#pipeline = openFileLog(context.folder)
    facts.produced = this.#produced
  }

  async carryOut(): Promise<OwnersFigures> {
    const { size } = this.#context
    const namespaces = hasNamespaces()
    if (!namespaces) this.#facts.skipped.push('the same pid in another namespace: unshare --pid is not allowed')
    const plan = ownerPlan(size.faults, namespaces)
    this.#facts.faultsPlanned = plan.length
    const share = Math.ceil(size.records / (2 * plan.length))
    try {
      for (const [index, fault] of plan.entries()) {
        const broken = await this.#contest(fault, share)
        const what = Object.values(fault).join(', ')
        this.#context.print(
          `contest ${index + 1} of ${plan.length}: ${what}: ${broken.length === 0 ? 'one owner' : broken.join('; ')}`,
        )
        this.#facts.failures.push(...broken.map((rule) => `contest ${index + 1} (${what}): ${rule}`))
        await this.#checkCoverage(index + 1)
      }
      await this.#finish()
    } finally {
      this.#facts.arrivals = await this.#pipeline.arrivals()
    }
    const count = (kind: OwnerFault['kind']): number => plan.filter((fault) => fault.kind === kind).length
    return { races: count('race'), frozen: count('frozen'), namespaces: count('namespace') }
  }

  /** What a later start would go on from covers nothing that is not stored. */
  async #checkCoverage(contest: number): Promise<void> {
    if (this.#context.sabotage !== undefined) return
    const missing = coveredButMissing(await this.#coverage(), this.#produced, await this.#pipeline.arrivals())
    if (missing > 0)
      this.#facts.failures.push(`after contest ${contest} the checkpoint covers ${missing} missing records`)
  }

  /** Once the killed are dead: the first process of a namespace may outlive its parent for a moment. */
  async #coverage(): Promise<Coverage> {
    const deadlineAt = performance.now() + STEP_MS
    for (;;) {
      try {
        return await this.#pipeline.coverage()
      } catch (error) {
        const isOwned = SluiceError.isInstance(error) && error.code === 'SLUICE_STATE_OWNED'
        if (!isOwned || performance.now() > deadlineAt) throw error
      }
      await sleep(RETRY_MS, undefined, { signal: this.#context.signal })
    }
  }

  #contest(fault: OwnerFault, share: number): Promise<readonly string[]> {
    if (fault.kind === 'race') return this.#race(share)
    return fault.kind === 'frozen' ? this.#frozen(fault.at, share) : this.#namespace(fault.owner, share)
  }

  async #race(share: number): Promise<readonly string[]> {
    const startAtMs = Date.now() + MEETING_MS
    const numbers = [++this.#processes, ++this.#processes]
    const starting = numbers.map((process) => this.#start({ process, startAtMs }))
    await using first = await starting[0]
    await using second = await starting[1]
    const decided = (process: number): boolean => this.#said(process, 'owned') || this.#said(process, 'ended')
    await this.#until('both starters are decided', () => numbers.every(decided))
    this.#facts.faultsFired++
    const broken = brokenStarts(this.#pipeline.events(), numbers, 1)
    await this.#storeMore(share)
    kill(first, second)
    return broken
  }

  async #frozen(at: FreezePoint, share: number): Promise<readonly string[]> {
    const stale = ++this.#processes
    const taker = ++this.#processes
    await using owner = await this.#start({ process: stale, ...(at === 'any' ? {} : { stopAt: at }) })
    await this.#until('the owner owns', () => this.#said(stale, 'owned'))
    if (at === 'any') {
      await this.#storeMore(share)
      await this.#until('the owner has stored a checkpoint', () => this.#said(stale, 'stored'))
      owner.kill('SIGSTOP')
    } else await this.#produce(share)
    await this.#until('the owner is stopped', () => isStopped(owner))
    await using other = await this.#start({ process: taker, elsewhere: true })
    await this.#until('another has taken over', () => this.#said(taker, 'stored'))
    this.#facts.faultsFired++
    await this.#storeMore(share)
    owner.kill('SIGCONT')
    await reached(() => this.#said(stale, 'ended'), STALE_DEADLINE_MS, this.#context.signal)
    const broken = brokenStale(this.#pipeline.events(), stale, taker)
    const before = stores(this.#pipeline.events(), taker)
    await this.#until('the new owner goes on', () => stores(this.#pipeline.events(), taker) > before)
    kill(owner, other)
    return broken
  }

  async #namespace(owner: 'alive' | 'killed', share: number): Promise<readonly string[]> {
    const numbers = [++this.#processes, ++this.#processes] as const
    const first = new NamespaceProcess(this.#context, this.#pipeline, numbers[0])
    await using _first = first
    await this.#until('the first process owns', () => this.#said(numbers[0], 'owned'))
    await this.#storeMore(share)
    if (owner === 'killed') {
      await first[Symbol.asyncDispose]()
      await this.#coverage()
    }
    await using _second = new NamespaceProcess(this.#context, this.#pipeline, numbers[1])
    const decided = (): boolean => this.#said(numbers[1], 'owned') || this.#said(numbers[1], 'ended')
    await this.#until('the second process is decided', decided)
    this.#facts.faultsFired++
    return brokenStarts(this.#pipeline.events(), numbers, owner === 'killed' ? 2 : 1)
  }

  /** The last process stores the rest and is drained. */
  async #finish(): Promise<void> {
    const process = ++this.#processes
    await using last = await this.#start({ process })
    await this.#until('the last process owns', () => this.#said(process, 'owned'))
    await this.#storeMore(1)
    const { code, signal } = await last.stop(STEP_MS)
    if (code !== 0) this.#facts.failures.push(`the last process ended with ${signal ?? `code ${code}`}, not with 0`)
  }

  #start(given: Partial<FileLogSettings> & Pick<FileLogSettings, 'process'>): Promise<NodeChild> {
    return startFileLog(this.#context, this.#pipeline, given)
  }

  #said(process: number, what: FileLogEvent['what']): boolean {
    return saidBy(this.#pipeline.events(), process).some((event) => event.what === what)
  }

  async #produce(count: number): Promise<void> {
    this.#produced.push(...(await this.#pipeline.produce(Array.from({ length: count }, () => this.#generator.next()))))
  }

  /** Whoever owns the folder now stores new records. */
  async #storeMore(count: number): Promise<void> {
    await this.#produce(count)
    const wanted = this.#produced.slice(-count).map(identityOf)
    await this.#until('new records are stored', () => {
      const stored = new Set(this.#pipeline.journal().map(({ record }) => identityOf(record)))
      return wanted.every((id) => stored.has(id))
    })
  }

  #until(what: string, condition: () => boolean): Promise<void> {
    return until(what, condition, STEP_MS, this.#context.signal)
  }
}

function stores(events: readonly FileLogEvent[], process: number): number {
  return saidBy(events, process).filter(({ what }) => what === 'stored').length
}

/** As it leaves everything when it is killed. */
function kill(...children: readonly (NodeChild | undefined)[]): void {
  for (const child of children) child?.kill('SIGKILL')
}

function isStopped({ pid }: NodeChild): boolean {
  return /\) T/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}
