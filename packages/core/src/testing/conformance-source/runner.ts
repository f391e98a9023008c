import { describeKit, type TestRunner } from '../conformance/kit.ts'
import { SOURCE_CASES } from './cases.ts'
import { Stand } from './stand.ts'
import { checkSubject, type SourceSubject } from './subject.ts'

/**
 * The conformance kit of sources: one test for each rule that the contract has. A connector runs it in its own tests, over its service
 * or a fake of it.
 *
 * The kit plays core's part: it polls, emits record by record, takes snapshots inside batches, settles, acknowledges late, twice, never
 * and out of order, releases splits and gives them back, starts again from every checkpoint, and closes. Everything runs on virtual
 * time. A case is left out only for a shape that the subject declares. At the end it prints one line of JSON:
 * `{"kit":"source","subject":...,"run":n,"skipped":[{"case":...,"ability":...}]}`.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the subject.
 * @example
 * ```ts
 * import { afterAll, describe, test } from 'vitest'
 *
 * describeSource({ describe, test, afterAll }, {
 *   name: 'my source',
 *   abilities: {
 *     acknowledgement: 'prefix',
 *     assignment: 'enumerator',
 *     positionAuthority: 'checkpoint',
 *     bounded: 'never',
 *     groups: false,
 *     lostPositions: 'fail',
 *   },
 *   open: ({ clock, maxRecordsPerFetch }) => new MyFakeService(clock, maxRecordsPerFetch),
 * })
 * ```
 */
export function describeSource<T>(runner: TestRunner, subject: SourceSubject<T>): void {
  checkSubject(subject)
  describeKit(runner, {
    kind: 'source',
    subject: subject.name,
    abilities: subject.abilities,
    cases: SOURCE_CASES,
    open: (options) => Stand.open(subject as SourceSubject<unknown>, options),
  })
}
