import { messageOf } from '../../../src/errors.ts'
import { describeSink } from '../../../src/testing/conformance/runner.ts'
import type { SinkSubject } from '../../../src/testing/conformance/subject.ts'

export interface Collected {
  /** The message of each failed case, by the case's title. */
  readonly failed: ReadonlyMap<string, string>
  readonly passed: readonly string[]
  /** What the kit printed. */
  readonly line: {
    readonly kit: string
    readonly subject: string
    readonly run: number
    readonly skipped: readonly { readonly case: string; readonly ability: string }[]
  }
}

/** Runs the kit with a test runner that only takes notes: for sinks that have to fail. */
export async function collect<In>(
  subject: SinkSubject<In>,
  only: (title: string) => boolean = () => true,
): Promise<Collected> {
  const tests: { readonly title: string; readonly body: () => Promise<void> }[] = []
  const endings: (() => void)[] = []
  const lines: string[] = []
  describeSink(
    {
      describe: (_, body) => body(),
      test: (title, body) => void tests.push({ title, body }),
      afterAll: (body) => void endings.push(body),
      print: (line) => void lines.push(line),
    },
    subject,
  )
  const failed = new Map<string, string>()
  const passed: string[] = []
  for (const { title, body } of tests) {
    if (!only(title)) continue
    const error = await body().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (error === undefined) passed.push(title)
    else failed.set(title, messageOf(error))
  }
  for (const ending of endings) ending()
  if (lines.length !== 1) throw new Error(`${lines.length} lines were printed, not 1`)
  return { failed, passed, line: JSON.parse(lines[0] ?? '') as Collected['line'] }
}
