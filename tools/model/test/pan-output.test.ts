import { expect, test } from 'vitest'
import { readPanOutput } from '../src/pan-output.ts'

const FULL = `
(Spin Version 6.5.2 -- 6 December 2019)
	+ Partial Order Reduction

Full statespace search for:
	never claim         	- (none specified)
	assertion violations	+
	cycle checks       	- (disabled by -DSAFETY)
	invalid end states	+

State-vector 188 byte, depth reached 292, errors: 0
   849189 states, stored
  4066211 states, matched
  4915400 transitions (= stored+matched)
 22160120 atomic steps
hash conflicts:    219346 (resolved)

unreached in proctype Subtask
	/model/protocol/sink.pml:15, state 16, "-end-"
	(1 of 16 states)
unreached in proctype DeadLetters
	/model/protocol/sink.pml:200, state 42, "letters?old,tok,ent"
	/model/protocol/sink.pml:207, state 44, "printf('a letter, "quoted", of %d\\n',ent)"
	/model/protocol/sink.pml:214, state 73, "-end-"
	(3 of 73 states)
unreached in init
	(0 of 11 states)
unreached in claim never_0
	/model/protocol/never:10, state 9, "-no-progress-"
	(1 of 9 states)

pan: elapsed time 5.46 seconds
pan: rate 155529 states/second
`

function refuted(line: string): string {
  const text = FULL.replace('errors: 0', 'errors: 1').replace(
    '\n\t+ Partial',
    '\nWarning: Search not completed\n\t+ Partial',
  )
  return `${line}\npan: wrote protocol.pml.trail\n${text}`
}

test('reads the figures of a full search', () => {
  expect(readPanOutput(FULL)).toEqual({
    errors: 0,
    violated: undefined,
    states: 849_189,
    transitions: 4_915_400,
    depth: 292,
    seconds: 5.46,
    truncated: [],
    unreached: [
      { process: 'proctype DeadLetters', statement: 'letters?old,tok,ent' },
      { process: 'proctype DeadLetters', statement: `printf('a letter, "quoted", of %d\\n',ent)` },
    ],
  })
})

test('reads states above a million, which are printed with an exponent', () => {
  const report = readPanOutput(FULL.replace('   849189 states, stored', '  2.5304292e+07 states, stored'))
  expect(report.states).toBe(25_304_292)
})

test('reads states of a search for cycles, which counts visits too', () => {
  const report = readPanOutput(FULL.replace('849189 states, stored', '729969 states, stored (1.09495e+06 visited)'))
  expect(report.states).toBe(729_969)
})

test.each([
  ['pan:1: assertion violated everything_is_kept (at depth 124)', 'everything_is_kept'],
  ['pan:1: assertion violated (len(retries)<6) (at depth 9)', '(len(retries)<6)'],
  ['pan:1: non-progress cycle (at depth 2)', 'every_run_ends'],
  ['pan:1: invalid end state (at depth 31)', 'invalid end state'],
])('names what a counter-example breaks: %s', (line, name) => {
  const report = readPanOutput(refuted(line))
  expect(report).toMatchObject({ errors: 1, violated: name, truncated: [] })
})

test.each([
  ['depth', `error: max search depth too small\n${FULL}`, ['the depth limit was reached']],
  ['memory', `pan: reached -DMEMLIM bound\n${FULL}`, ['the memory limit was reached']],
  ['bit state', FULL.replace('Full statespace', 'Bit statespace'), ['the search was a bit-state search']],
  ['hash', FULL.replace('Full statespace', 'Hash-Compact 4'), ['the search was hash-compact']],
  ['unknown kind', FULL.replace('Full statespace', 'Partial statespace'), ['the search was not a full one']],
  ['unknown end', `Warning: Search not completed\n${FULL}`, ['the search was not completed']],
])('a search that left states out says so: %s', (_, output, truncated) => {
  expect(readPanOutput(output).truncated).toEqual(truncated)
})

test.each([
  ['nothing', ''],
  ['a crash', 'pan: error: out of stack\nSegmentation fault'],
  ['an end without figures', FULL.slice(0, FULL.indexOf('State-vector'))],
])('what is not the end of a search is no verdict: %s', (_, output) => {
  expect(() => readPanOutput(output)).toThrow('did not finish its search')
})
