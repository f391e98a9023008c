#!/usr/bin/env node
import { main } from './cli/main.ts'

/** A module given to `dlq replay` may leave connections open: they must not keep a finished command from its end. */
const LINGER_MS = 2000

process.exitCode = await main(process.argv.slice(2))
setTimeout(() => process.exit(), LINGER_MS).unref()
