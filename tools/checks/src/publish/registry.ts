import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { runOrThrow } from '../run.ts'

// verdaccio's declarations import packages that it does not depend on, so they cannot be type checked.
interface Verdaccio {
  runServer(configuration: object): Promise<Server>
}

/** A registry of our own packages on this machine, without authentication. */
export interface LocalRegistry extends AsyncDisposable {
  /** Ends with `/`. Never the same twice: npm caches what it learns from a registry by its address. */
  readonly url: string
}

/** The registry that npm is configured to use, for everything that is not ours. */
export async function configuredRegistry(cwd: string): Promise<string> {
  const { stdout } = await runOrThrow('npm', ['config', 'get', 'registry'], { cwd })
  return stdout.trim()
}

/** Starts an empty registry that keeps its packages in `folder` and asks no other registry. */
export async function startRegistry(folder: string): Promise<LocalRegistry> {
  mkdirSync(folder, { recursive: true })
  const prefix = `/${randomBytes(6).toString('hex')}/`
  const everyone = { access: '$all', publish: '$all', unpublish: '$all' }
  const verdaccio: Verdaccio = createRequire(import.meta.url)('verdaccio')
  const server = await verdaccio.runServer({
    self_path: join(folder, 'config.yaml'),
    configPath: join(folder, 'config.yaml'),
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd'), max_users: -1 } },
    uplinks: {},
    packages: { '**': everyone },
    url_prefix: prefix,
    web: { enable: false },
    log: { type: 'stdout', format: 'pretty', level: 'fatal' },
  })
  // verdaccio writes the prefix into the addresses that it hands out, and expects a proxy to take it away.
  server.prependListener('request', (request) => {
    request.url = request.url?.replace(prefix, '/')
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error(`registry listens on ${String(address)}`)
  return {
    url: `http://127.0.0.1:${address.port}${prefix}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
