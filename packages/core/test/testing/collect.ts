import { messageOf } from '../../src/errors.ts'
import type { TestRunner } from '../../src/testing/conformance/kit.ts'

export interface Collected {
  /** The message of each failed case, by the case's name. */
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

/** Runs a kit with a test runner that only takes notes: for connectors that have to fail. */
export async function collect(
  kit: (runner: TestRunner) => void,
  only: (name: string) => boolean = () => true,
): Promise<Collected> {
  const tests: { readonly name: string; readonly body: () => Promise<void> }[] = []
  const endings: (() => void)[] = []
  const lines: string[] = []
  kit({
    describe: (_, body) => body(),
    test: (title, body) => void tests.push({ name: title.replace(/ \(promise .*$/u, ''), body }),
    afterAll: (body) => void endings.push(body),
    print: (line) => void lines.push(line),
  })
  const failed = new Map<string, string>()
  const passed: string[] = []
  for (const { name, body } of tests) {
    if (!only(name)) continue
    const error = await body().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (error === undefined) passed.push(name)
    else failed.set(name, messageOf(error))
  }
  for (const ending of endings) ending()
  if (lines.length !== 1) throw new Error(`${lines.length} lines were printed, not 1`)
  return { failed, passed, line: JSON.parse(lines[0] ?? '') as Collected['line'] }
}
