/** A statement that a search did not reach. */
export interface Unreached {
  readonly process: string
  readonly statement: string
}

/** What the verifier that spin generated says at its end. */
export interface PanReport {
  readonly errors: number
  /** Name of the property that the first counter-example breaks; undefined without one. */
  readonly violated: string | undefined
  readonly states: number
  readonly transitions: number
  readonly depth: number
  readonly seconds: number
  /** Why states may be missing; empty when the whole state space was searched, or the search ended at a counter-example. */
  readonly truncated: readonly string[]
  readonly unreached: readonly Unreached[]
}

/** Wordings of a search that is not full: a bound was hit, or states are told apart by their hash only. */
const TRUNCATIONS: readonly (readonly [RegExp, string])[] = [
  [/max search depth too small/, 'the depth limit was reached'],
  [/reached -DMEMLIM bound|pan: out of memory/, 'the memory limit was reached'],
  [/Bit statespace search/, 'the search was a bit-state search'],
  [/^Hash-Compact/m, 'the search was hash-compact'],
]

const VIOLATIONS: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [/^pan:\d+: assertion violated (.+?) \(at depth \d+\)/m, (match) => match[1] ?? ''],
  [/^pan:\d+: non-progress cycle/m, () => 'every_run_ends'],
  [/^pan:\d+: (.+?) \(at depth \d+\)/m, (match) => match[1] ?? ''],
]

/**
 * Reads what the verifier printed.
 *
 * @throws Error when it is not the end of a search: a crash must not be taken for a verdict.
 */
export function readPanOutput(output: string): PanReport {
  const head = /depth reached (\d+).*, errors: (\d+)/.exec(output)
  const states = number(output, /^\s*([\d.e+]+) states, stored/m)
  const transitions = number(output, /^\s*([\d.e+]+) transitions/m)
  if (head === null || states === undefined || transitions === undefined) {
    throw new Error(`the verifier did not finish its search:\n${output.slice(-2000)}`)
  }
  const errors = Number(head[2])
  const truncated = TRUNCATIONS.filter(([wording]) => wording.test(output)).map(([, reason]) => reason)
  if (errors === 0 && truncated.length === 0) {
    if (/Search not completed/.test(output)) truncated.push('the search was not completed')
    else if (!/Full statespace search/.test(output)) truncated.push('the search was not a full one')
  }
  return {
    errors,
    violated: errors === 0 ? undefined : violatedIn(output),
    states,
    transitions,
    depth: Number(head[1]),
    seconds: number(output, /pan: elapsed time ([\d.e+-]+) seconds/) ?? 0,
    truncated,
    unreached: [...unreachedIn(output)],
  }
}

function violatedIn(output: string): string {
  for (const [wording, name] of VIOLATIONS) {
    const match = wording.exec(output)
    if (match !== null) return name(match)
  }
  return 'an error that the verifier did not name'
}

/** The end of a process is never reached: they are loops. */
function* unreachedIn(output: string): Generator<Unreached> {
  let process: string | undefined
  for (const line of output.split('\n')) {
    const heading = /^unreached in (.+)$/.exec(line)
    if (heading !== null) process = heading[1]
    // The claim that looks for cycles is not the model's.
    else if (process !== undefined && !process.startsWith('claim ')) {
      const statement = /^\s+\S+:\d+, state \d+, "(.*)"$/.exec(line)?.[1]
      if (statement !== undefined && statement !== '-end-') yield { process, statement }
    }
  }
}

function number(output: string, pattern: RegExp): number | undefined {
  const text = pattern.exec(output)?.[1]
  return text === undefined ? undefined : Number(text)
}
