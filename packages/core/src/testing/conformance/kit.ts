import { messageOf } from '../../errors.ts'

/** What a kit needs of a test runner; vitest's functions fit, and node:test's with `afterAll: after`. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  test(name: string, body: () => Promise<void>): unknown
  afterAll(body: () => void): unknown
  /** Takes the kit's last line. @default standard output */
  print?(line: string): void
}

/** One rule that every connector of a kind keeps to. */
export interface KitCase<Abilities, Open> {
  readonly name: string
  /** The promises that it belongs to, by their numbers in the architecture. */
  readonly promises: readonly number[]
  /** Abilities without which it cannot be tried, with the values that will do. */
  readonly needs?: { readonly [Name in keyof Abilities]?: readonly Abilities[Name][] }
  run(open: Open): Promise<void>
}

/** The connector of one case, with what is around it. */
export interface KitStand {
  /** Looks at everything a last time. */
  end(): Promise<void>
  /** Lets go of everything, whatever happened. */
  stop(): Promise<void>
}

export interface Kit<Abilities, Options, Stand extends KitStand> {
  readonly kind: 'sink' | 'source'
  readonly subject: string
  readonly abilities: Abilities
  readonly cases: readonly KitCase<Abilities, (options?: Options) => Promise<Stand>>[]
  open(options: Options | undefined): Promise<Stand>
}

/** Far more than any case takes; only a connector that does not let go reaches it. */
const MAX_REAL_MS = 15_000

/** Describes a test for each case; at the end prints the cases that were run and skipped, as one line of JSON. */
export function describeKit<Abilities extends object, Options, Stand extends KitStand>(
  runner: TestRunner,
  kit: Kit<Abilities, Options, Stand>,
): void {
  const { kind, subject, abilities, cases } = kit
  const skipped: { readonly case: string; readonly ability: string }[] = []
  let run = 0
  runner.describe(`${kind} conformance: ${subject}`, () => {
    for (const kitCase of cases) {
      const ability = missingAbility(kitCase.needs ?? {}, abilities)
      if (ability !== undefined) {
        skipped.push({ case: kitCase.name, ability })
        continue
      }
      runner.test(`${kitCase.name} (promise ${kitCase.promises.join(', ')})`, () => {
        run++
        return runCase(kitCase, (options) => kit.open(options))
      })
    }
    runner.afterAll(() => {
      const line = JSON.stringify({ kit: kind, subject, run, skipped })
      if (runner.print === undefined) process.stdout.write(`${line}\n`)
      else runner.print(line)
    })
  })
}

function missingAbility<Abilities extends object>(
  needs: NonNullable<KitCase<Abilities, never>['needs']>,
  abilities: Abilities,
): string | undefined {
  return Object.entries<readonly unknown[]>(needs as Record<string, readonly unknown[]>).find(
    ([name, values]) => !values.includes(Reflect.get(abilities, name)),
  )?.[0]
}

async function runCase<Abilities, Options, Stand extends KitStand>(
  kitCase: KitCase<Abilities, (options?: Options) => Promise<Stand>>,
  open: (options: Options | undefined) => Promise<Stand>,
): Promise<void> {
  const stands: Stand[] = []
  const { promise: tooLong, reject } = Promise.withResolvers<never>()
  const guard = setTimeout(() => reject(new Error(`not within ${MAX_REAL_MS} ms of real time`)), MAX_REAL_MS)
  const whole = async (): Promise<void> => {
    await kitCase.run(async (options) => {
      const stand = await open(options)
      stands.push(stand)
      return stand
    })
    for (const stand of stands) await stand.end()
  }
  try {
    await Promise.race([whole(), tooLong])
  } catch (error) {
    throw new Error(`${kitCase.name}: ${messageOf(error)}`, { cause: error })
  } finally {
    clearTimeout(guard)
    for (const stand of stands) await stand.stop()
  }
}
