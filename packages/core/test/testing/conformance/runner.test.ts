import { describe, expect, test } from 'vitest'

import { describeSink } from '../../../src/testing/conformance/runner.ts'
import { SINK_CASES } from '../../../src/testing/conformance/cases.ts'
import type { SinkAbilities } from '../../../src/testing/conformance/subject.ts'
import { collect } from '../collect.ts'
import { plainSubject } from './plain-sink.ts'
import { PlainWriter } from './plain-writer.ts'
import { PER_ENTRY, PER_REQUEST } from './subjects.ts'

const silent = { describe: () => {}, test: () => {}, afterAll: () => {} }

const nothing = (): boolean => false

describe('describeSink', () => {
  test('names every problem of a subject at once', () => {
    const { orderKey: _, ...rest } = PER_REQUEST
    const abilities = { ...rest, conflicts: true, wholeRefusals: false, answers: 'batch', hurries: true }
    const subject = { ...plainSubject(''), abilities: abilities as unknown as SinkAbilities, valueFor: 'none' }
    Reflect.deleteProperty(subject, 'decodeExplained')
    expect(() => describeSink(silent, subject as unknown as ReturnType<typeof plainSubject>)).toThrow(
      expect.objectContaining({
        code: 'SLUICE_OPTIONS_INVALID',
        facts: {
          owner: 'describeSink',
          problems: [
            "name must be a non-empty string, got '' (string)",
            "valueFor must be a function, got 'none' (string)",
            "unknown option 'abilities.hurries'",
            'abilities.answers must be one of "entry", "request", got "batch"',
            'abilities.orderKey must be one of "none", "keyed", "own", got undefined',
            'abilities.conflicts needs namedRefusals or wholeRefusals',
            'abilities.explain needs decodeExplained',
          ],
        },
      }) as Error,
    )
  })

  test.each([
    [{ answers: 'request' }, "answers must be 'entry' if"],
    [{ entryRetries: false, namedRefusals: false }, "answers must be 'entry' if"],
  ] as const)('abilities must agree: %o', (change, problem) => {
    const subject = { ...plainSubject('odd'), abilities: { ...PER_ENTRY, ...change } }
    expect(() => describeSink(silent, subject)).toThrow(problem)
  })

  test('prints one line with the cases that were run and skipped', async () => {
    const { line } = await collect((runner) => describeSink(runner, plainSubject('all')), nothing)
    expect(line).toEqual({ kit: 'sink', subject: 'all', run: 0, skipped: [] })
    const abilities = { ...PER_ENTRY, destinations: false, explain: false }
    const { line: less, passed } = await collect(
      (runner) => describeSink(runner, plainSubject('less', PlainWriter, abilities)),
      (title) => title.startsWith('every value'),
    )
    expect(passed).toEqual(['every value is stored, and settled once'])
    expect(less.run).toBe(1)
    expect(less.skipped.map(({ ability }) => ability)).toEqual([
      ...Array<string>(5).fill('destinations'),
      'explain',
      'explain',
    ])
  })

  test('every case has a name of its own and a promise', () => {
    expect(new Set(SINK_CASES.map(({ name }) => name)).size).toBe(SINK_CASES.length)
    expect(SINK_CASES.every(({ promises }) => promises.length > 0)).toBe(true)
    expect(SINK_CASES.every(({ promises }) => promises.every((promise) => promise >= 1 && promise <= 11))).toBe(true)
  })

  test('an undeclared skip is not possible: explain that is not declared fails a case', async () => {
    const abilities = { ...PER_ENTRY, explain: false }
    const { failed } = await collect(
      (runner) => describeSink(runner, plainSubject('silent', PlainWriter, abilities)),
      (title) => title.includes('explain'),
    )
    expect([...failed.values()]).toEqual([
      'the sink has explain if, and only if, that is declared: explain is there, and not declared',
    ])
  })

  test('a sink that fetches work for ever does not hold the tests up', async () => {
    class Restless extends PlainWriter {
      protected override pump(): void {
        super.pump()
        this.context.clock.after(0, () => this.pump())
      }
    }
    const { failed } = await collect(
      (runner) => describeSink(runner, plainSubject('restless', Restless)),
      (title) => title.startsWith('every value'),
    )
    expect([...failed.values()].join()).toContain('a connector that sets timer after timer')
  })
})
