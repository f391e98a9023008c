// Preloaded into a process under test: writes the address of every module that is resolved to SLUICE_MODULE_TRACE.
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const trace = process.env['SLUICE_MODULE_TRACE']
if (trace === undefined) throw new Error('SLUICE_MODULE_TRACE is not set')

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context)
    appendFileSync(trace, `${resolved.url}\n`)
    return resolved
  },
})
