import { memoryCheckpoints } from '../checkpoint/memory.ts'
import type { CheckpointStorage } from '../checkpoint/storage.ts'
import {
  checkDeadLetterOptions,
  DEAD_LETTER_OPTIONS,
  type DeadLetterOptions,
  type ResolvedDeadLetterOptions,
  resolveDeadLetterOptions,
} from '../dead-letters/options.ts'
import { type Logger, silentLogger } from '../logger.ts'
import { MetricRegistry } from '../metrics/registry.ts'
import { OptionsCheck } from '../options.ts'
import type { Random } from '../runtime/backoff.ts'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { exponentialDelayRestart, type RestartStrategy } from './restart.ts'

export interface CheckpointOptions {
  /** Milliseconds between the starts of two checkpoints. @default 10000 */
  readonly intervalMs?: number
  /** Milliseconds from the end of one to the start of the next, at least. @default 0 */
  readonly minPauseMs?: number
  /**
   * Milliseconds after which a checkpoint is given up and covered by the next. A storage that does not store one within that time
   * ends the job: its late answer could overtake a newer checkpoint. @default 600000 (10 min)
   */
  readonly timeoutMs?: number
  /** Where they are kept. @default in memory: a restart of the process starts from the initial position */
  readonly storage?: CheckpointStorage
}

export interface AdminOptions {
  /** TCP port for `/metrics`, `/healthz`, `/readyz` and `/status`; 0 takes a free one. */
  readonly port: number
  /** Address to listen on. The pages need no credentials, so nothing but loopback is the default. @default '127.0.0.1' */
  readonly host?: string
}

export interface JobOptions extends DeadLetterOptions {
  /** Names the job in metrics, logs and checkpoint storage. Letters, digits, `.`, `_` and `-`, at most 100. */
  readonly name: string
  readonly checkpoints?: CheckpointOptions
  /** Fetch loops, each with its own splits. Not cores: a Node.js process has one; for more run more processes. @default 1 */
  readonly parallelism?: number
  /**
   * Raw bytes of fetched batches that have unsettled inputs; a single batch may be larger. At the limit the job emits nothing
   * more and hastens the sinks until there is room. @default 67108864 (64 MiB)
   */
  readonly maxRetainedBytes?: number
  /** What happens after a restartable failure. @default exponentialDelayRestart() */
  readonly restart?: RestartStrategy
  /** Milliseconds that the parts of an ended attempt have, all together, to end; aborted requests are awaited. @default 5000 */
  readonly restartGraceMs?: number
  /**
   * Milliseconds after which `drain()` and the end of an `await using` scope become `close()`, which may take `restartGraceMs`
   * more: together less than the 30 s that Kubernetes gives a container. @default 20000
   */
  readonly drainDeadlineMs?: number
  /**
   * Milliseconds that each step of a start may take: opening the storage, loading a checkpoint, making a sink's writer, finding the
   * splits. Beyond it the attempt fails, and the restart strategy decides. @default 120000 (2 min)
   */
  readonly startTimeoutMs?: number
  /** Serves health, status and metrics over HTTP. @default not served */
  readonly admin?: AdminOptions
  /** pino-shaped. @default silent */
  readonly logger?: Logger
  /** Takes the metrics of the job. @default one of its own, at `job.metrics` */
  readonly metrics?: MetricRegistry
  /** Time, for tests. @default the system's */
  readonly clock?: Clock
  /** Randomness of delays, for tests. @default Math.random */
  readonly random?: Random
}

export type ResolvedJobOptions = Required<Omit<JobOptions, 'checkpoints' | 'admin' | keyof DeadLetterOptions>> &
  ResolvedDeadLetterOptions & {
    readonly checkpoints: Required<CheckpointOptions>
    readonly admin: AdminOptions | undefined
    /** False when positions are kept in memory only because no storage was given. */
    readonly durable: boolean
  }

const KNOWN = [
  'name',
  'checkpoints',
  'parallelism',
  'maxRetainedBytes',
  ...DEAD_LETTER_OPTIONS,
  'restart',
  'restartGraceMs',
  'drainDeadlineMs',
  'startTimeoutMs',
  'admin',
  'logger',
  'metrics',
  'clock',
  'random',
]

/** Checks and completes the options of `start()`. @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function resolveJobOptions(options: JobOptions): ResolvedJobOptions {
  const check = new OptionsCheck('start()', options, KNOWN)
  checkRunOptions(check, options, true)
  check.integer('parallelism', { max: 1024 })
  check.integer('maxRetainedBytes')
  check.integer('drainDeadlineMs', { min: 0 })
  check.integer('startTimeoutMs')
  checkNested(check, 'checkpoints', options?.checkpoints, ['intervalMs', 'minPauseMs', 'timeoutMs', 'storage'])
  checkNested(check, 'admin', options?.admin, ['port', 'host'])
  check.throwIfAny()
  const { checkpoints = {}, admin } = options
  return {
    ...resolveDeadLetterOptions(options),
    name: options.name,
    parallelism: options.parallelism ?? 1,
    maxRetainedBytes: options.maxRetainedBytes ?? 64 * 1024 * 1024,
    restart: options.restart ?? exponentialDelayRestart(),
    restartGraceMs: options.restartGraceMs ?? 5_000,
    drainDeadlineMs: options.drainDeadlineMs ?? 20_000,
    startTimeoutMs: options.startTimeoutMs ?? 120_000,
    admin,
    logger: options.logger ?? silentLogger,
    metrics: options.metrics ?? new MetricRegistry(),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    durable: checkpoints.storage !== undefined,
    checkpoints: {
      intervalMs: checkpoints.intervalMs ?? 10_000,
      minPauseMs: checkpoints.minPauseMs ?? 0,
      timeoutMs: checkpoints.timeoutMs ?? 600_000,
      storage: checkpoints.storage ?? memoryCheckpoints(),
    },
  }
}

/** Adds every problem of the options that a sink has, too, which is used without a job of its own. */
export function checkRunOptions(
  check: OptionsCheck,
  options: Partial<JobOptions> | undefined,
  isNameRequired: boolean,
): void {
  check.string('name', {
    required: isNameRequired,
    pattern: /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/,
    says: 'letters, digits, ".", "_" and "-", 1 to 100 of them, and not start with "."',
  })
  check.integer('restartGraceMs', { min: 0 })
  checkLoggerAndClock(check, options)
  checkShape(check, 'metrics', options?.metrics, ['counter', 'gauge', 'collect'])
  checkShape(check, 'restart', options?.restart, ['onFailure'])
  check.function('random')
  checkDeadLetterOptions(check, options)
}

/** Adds what is wrong with a logger and a clock. */
export function checkLoggerAndClock(
  check: OptionsCheck,
  options: Pick<Partial<JobOptions>, 'logger' | 'clock'> | undefined,
): void {
  checkShape(check, 'logger', options?.logger, ['debug', 'info', 'warn', 'error'])
  checkShape(check, 'clock', options?.clock, ['now', 'wallNow', 'after', 'afterPoll'])
}

function checkShape(check: OptionsCheck, name: string, value: unknown, methods: readonly string[]): void {
  if (value === undefined) return
  const missing = methods.filter((method) => typeof (value as Record<string, unknown> | null)?.[method] !== 'function')
  if (missing.length > 0) check.problem(`${name} must have the method(s) ${missing.join(', ')}`)
}

/** Problems of a nested object, with the path to the place. */
function checkNested(
  check: OptionsCheck,
  name: 'checkpoints' | 'admin',
  value: unknown,
  known: readonly string[],
): void {
  if (value === undefined) return
  const nested = new OptionsCheck(name, value, known, `${name}.`)
  if (name === 'checkpoints') {
    for (const duration of ['intervalMs', 'timeoutMs']) nested.integer(duration)
    nested.integer('minPauseMs', { min: 0 })
    checkShape(nested, 'checkpoints.storage', (value as CheckpointOptions).storage, ['open'])
  } else {
    nested.integer('port', { min: 0, max: 65_535, required: true })
    nested.string('host')
  }
  for (const problem of nested.problems) check.problem(problem)
}
