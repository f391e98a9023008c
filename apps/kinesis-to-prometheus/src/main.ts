#!/usr/bin/env node
import { messageOf } from '@sluice/core'
import { parseArguments } from './arguments.ts'
import { runDemo } from './demo.ts'

const parsed = parseArguments(process.argv.slice(2))
if (parsed.kind === 'help') process.stdout.write(parsed.text)
else if (parsed.kind === 'problems') {
  process.stderr.write(`${parsed.problems.join('\n')}\nTry --help.\n`)
  process.exitCode = 2
} else {
  try {
    const { summary, ok } = await runDemo(parsed.options)
    process.stdout.write(`${JSON.stringify(summary)}\n`)
    process.exitCode = ok ? 0 : 1
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    process.stdout.write(`${JSON.stringify({ demo: 'kinesis-to-prometheus', error: messageOf(error) })}\n`)
    process.exitCode = 1
  }
}
