import { SINK_CASES } from './cases.ts'
import { describeKit, type TestRunner } from './kit.ts'
import { Stand } from './stand.ts'
import { checkSubject, type SinkSubject } from './subject.ts'

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
  describeKit(runner, {
    kind: 'sink',
    subject: subject.name,
    abilities: subject.abilities,
    cases: SINK_CASES,
    open: (options) => Stand.open(subject, options),
  })
}
