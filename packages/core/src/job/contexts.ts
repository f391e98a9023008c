import type { Delivery } from '../dead-letters/delivery.ts'
import type { SluiceError } from '../errors.ts'
import type { SinkContext } from '../sink/spi.ts'
import type { SourceContext } from '../source/spi.ts'
import type { Tracker } from '../tracker/tracker.ts'
import { isKeyed } from './operators.ts'
import type { AnySink, JobPlan } from './plan.ts'

/** What an attempt lends to its connectors. */
export interface Lent {
  readonly plan: JobPlan
  readonly tracker: Tracker
  readonly delivery: Delivery
  /** Aborts when the attempt ends. */
  readonly signal: AbortSignal
  readonly fail: (error: SluiceError) => void
  readonly requestCheckpoint: (reason: string) => void
}

export function sinkContext({ plan, tracker, delivery, fail, requestCheckpoint }: Lent, sink: AnySink): SinkContext {
  const { logger, metrics, clock, random, name, steps, deadLetters, sinkDeadLetters } = plan
  return {
    sinkUid: sink.uid,
    logger,
    metrics: metrics.group({ job: name, sink: sink.uid }),
    clock,
    random,
    keyed: isKeyed(steps),
    hasDeadLetters: (sinkDeadLetters.get(sink.uid) ?? deadLetters) !== undefined,
    fail,
    requestCheckpoint,
    settlement: {
      became: (token, entries) => tracker.add(token, entries - 1),
      settle: (token) => tracker.settle(token),
      settleAll: (tokens, count) => tracker.settleAll(tokens, count),
      returned: (token) => tracker.returned(token),
      isReleased: (token) => tracker.isReleased(token),
      isReplaySuspect: (token) => tracker.isReplaySuspect(token),
      refused: (refusal) => delivery.refused(sink.uid, refusal),
    },
  }
}

export function sourceContext({ plan, signal, fail, requestCheckpoint }: Lent): SourceContext {
  const { source, logger, metrics, clock, random, name } = plan
  return {
    sourceUid: source.uid,
    logger,
    metrics: metrics.group({ job: name, source: source.uid }),
    clock,
    random,
    signal,
    fail,
    requestCheckpoint,
  }
}
