import { spawnNode } from '@sluice/testkit'

interface NullServer extends AsyncDisposable {
  readonly url: string
}

/** Starts the server that only reads, in a process of its own. */
export async function startNullServer(): Promise<NullServer> {
  const child = await spawnNode(new URL('null-server.ts', import.meta.url))
  const port = /\d+/.exec(await child.line(/listening/, 30_000))?.[0] ?? ''
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() }
}
