import { expect, test } from 'vitest'

import { SOURCE_CASES } from '../../../src/testing/conformance-source/cases.ts'
import { describeSource } from '../../../src/testing/conformance-source/runner.ts'
import { collect } from '../collect.ts'
import { MUTANTS } from './mutants.ts'
import { groupSubject, memorySubject, queueSubject } from './services.ts'

const silent = { describe: () => {}, test: () => {}, afterAll: () => {} }

test('every problem of a subject is named at once', () => {
  const { assignment: _, ...rest } = memorySubject().abilities
  const abilities = { ...rest, groups: true, bounded: true, hurries: true }
  const subject = { name: '', abilities, open: 'none' }
  expect(() => describeSource(silent, subject as unknown as ReturnType<typeof memorySubject>)).toThrow(
    expect.objectContaining({
      code: 'SLUICE_OPTIONS_INVALID',
      facts: {
        owner: 'describeSource',
        problems: [
          "name must be a non-empty string, got '' (string)",
          "open must be a function, got 'none' (string)",
          "unknown option 'abilities.hurries'",
          'abilities.assignment must be one of "enumerator", "external", got undefined',
          'abilities.bounded must be one of "never", "splits", "input", got true',
          "abilities.groups needs acknowledgement 'individual'",
        ],
      },
    }) as Error,
  )
})

test('a shape that the source does not have fails, and is not skipped', async () => {
  const subject = memorySubject()
  const abilities = { ...subject.abilities, positionAuthority: 'external' } as const
  const { failed } = await collect(
    (runner) => describeSource(runner, { ...subject, abilities }),
    (name) => name.startsWith('records of a split'),
  )
  expect([...failed.values()].join()).toContain(
    'the service lacks failNextAcknowledgement, holdNextAcknowledgement, committed',
  )
  const bounded = { ...subject.abilities, lostPositions: 'never' } as const
  const { line } = await collect(
    (runner) => describeSource(runner, { ...subject, abilities: bounded }),
    () => false,
  )
  expect(line.skipped.filter(({ ability }) => ability === 'lostPositions')).toHaveLength(2)
})

test('what a source declares must be what its shape says', async () => {
  const subject = groupSubject((source) => Object.assign(source, { acknowledgement: 'individual' }))
  const { failed } = await collect(
    (runner) => describeSource(runner, subject),
    (name) => name.startsWith('records of a split'),
  )
  expect([...failed.values()].join()).toContain("acknowledgement is 'individual', declared is 'prefix'")
})

test('every case has a name of its own and a promise, and is run for one of the shapes', async () => {
  expect(new Set(SOURCE_CASES.map(({ name }) => name)).size).toBe(SOURCE_CASES.length)
  const promises = SOURCE_CASES.flatMap((each) => each.promises)
  expect(promises.every((promise) => promise >= 1 && promise <= 11)).toBe(true)
  expect(SOURCE_CASES.every((each) => each.promises.length > 0)).toBe(true)
  const skips = await Promise.all(
    [memorySubject(), groupSubject(), queueSubject()].map(
      async (subject) =>
        (
          await collect(
            (runner) => describeSource(runner, subject),
            () => false,
          )
        ).line,
    ),
  )
  const skipped = skips.map((line) => new Set(line.skipped.map((skip) => skip.case)))
  const nowhere = SOURCE_CASES.filter(({ name }) => skipped.every((names) => names.has(name)))
  expect(nowhere).toEqual([])
})

test('every mutant names a case that there is', () => {
  const names = new Set(SOURCE_CASES.map(({ name }) => name))
  expect(MUTANTS.filter(({ caughtBy }) => !names.has(caughtBy))).toEqual([])
})
