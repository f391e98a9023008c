import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** A folder that is removed, with what is in it, on disposal. */
export interface TemporaryFolder extends AsyncDisposable {
  /** Absolute path. */
  readonly path: string
}

/**
 * Makes a new empty folder below the system's temporary folder.
 *
 * @example
 * ```ts
 * await using folder = await temporaryFolder()
 * await writeFile(join(folder.path, 'state'), '')
 * ```
 */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-testkit-'))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  }
}

/**
 * Where downloaded or built test servers are kept between runs: `SLUICE_CACHE`, or `~/.cache/sluice`. Absolute; it may
 * not exist yet.
 */
export function cacheFolder(): string {
  const chosen = process.env['SLUICE_CACHE']
  return chosen ? resolve(chosen) : join(homedir(), '.cache', 'sluice')
}
