import { messageOf } from '../../errors.ts'
import { SINK_CASES } from './cases.ts'
import type { SinkCase } from './sink-case.ts'
import { Stand } from './stand.ts'
import { checkSubject, type SinkAbilities, type SinkSubject } from './subject.ts'

/** What the kit needs of a test runner; vitest's functions fit, and node:test's with `afterAll: after`. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  test(name: string, body: () => Promise<void>): unknown
  afterAll(body: () => void): unknown
  /** Takes the kit's last line. @default standard output */
  print?(line: string): void
}

/** Far more than any case takes; only a sink that does not let go reaches it. */
const MAX_REAL_MS = 15_000

/**
 * The conformance kit of sinks: one test for each rule that the contract has. A connector runs it in its own tests.
 *
 * Everything runs on virtual time and with seeded randomness. After every event the kit compares the writer's figures with its own
 * books: one outcome for each entry, nothing settled that the store has not confirmed, nothing sent twice without need or
 * with another content, no limit exceeded. A case is left out only for an ability that the subject declares not to have. At the
 * end it prints one line of JSON: `{"kit":"sink","subject":...,"run":n,"skipped":[{"case":...,"ability":...}]}`.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the subject.
 * @example
 * ```ts
 * import { afterAll, describe, test } from 'vitest'
 *
 * describeSink({ describe, test, afterAll }, {
 *   name: 'my sink',
 *   abilities: { answers: 'request', repeats: 'duplicated', orderKey: 'none', ... },
 *   valueFor: ({ key, sequence }) => ({ key, sequence }),
 *   create: ({ store, limits }) =>
 *     new MySink({
 *       maxBatchSize: limits.maxBatchSize,
 *       post: async (body) => toHttp(await store.receive(decode(body))),
 *     }),
 * })
 * ```
 */
export function describeSink<In>(runner: TestRunner, subject: SinkSubject<In>): void {
  checkSubject(subject)
  const skipped: { readonly case: string; readonly ability: string }[] = []
  let run = 0
  runner.describe(`sink conformance: ${subject.name}`, () => {
    for (const sinkCase of SINK_CASES) {
      const ability = missingAbility(sinkCase, subject.abilities)
      if (ability !== undefined) {
        skipped.push({ case: sinkCase.name, ability })
        continue
      }
      runner.test(`${sinkCase.name} (promise ${sinkCase.promises.join(', ')})`, () => {
        run++
        return runCase(sinkCase, subject)
      })
    }
    runner.afterAll(() => {
      const line = JSON.stringify({ kit: 'sink', subject: subject.name, run, skipped })
      if (runner.print === undefined) process.stdout.write(`${line}\n`)
      else runner.print(line)
    })
  })
}

function missingAbility({ needs = {} }: SinkCase, abilities: SinkAbilities): string | undefined {
  return Object.entries(needs).find(
    ([name, values]: [string, readonly unknown[]]) => !values.includes(abilities[name as keyof SinkAbilities]),
  )?.[0]
}

async function runCase(sinkCase: SinkCase, subject: SinkSubject<unknown>): Promise<void> {
  const stands: Stand[] = []
  const { promise: tooLong, reject } = Promise.withResolvers<never>()
  const guard = setTimeout(() => reject(new Error(`not within ${MAX_REAL_MS} ms of real time`)), MAX_REAL_MS)
  const whole = async (): Promise<void> => {
    await sinkCase.run(async (options) => {
      const stand = await Stand.open(subject, options)
      stands.push(stand)
      return stand
    })
    for (const stand of stands) await stand.end()
  }
  try {
    await Promise.race([whole(), tooLong])
  } catch (error) {
    throw new Error(`${sinkCase.name}: ${messageOf(error)}`, { cause: error })
  } finally {
    clearTimeout(guard)
    for (const stand of stands) await stand.stop()
  }
}
