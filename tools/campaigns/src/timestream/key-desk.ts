import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** Keys of a caller, as a provider of credentials gives them. */
export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
}

type Issue = { readonly keys: Keys & { readonly expiresAt?: string } } | { readonly closed: true }

const ASKED = '.asked'

/** Where a subject gets its keys: a file, as of a role whose keys are changed by somebody else. */
export class KeyDesk {
  readonly file: string

  constructor(file: string) {
    this.file = file
    writeFileSync(`${file}${ASKED}`, '')
  }

  /** How often keys were asked for while there were none. */
  get turnedAway(): number {
    return readFileSync(`${this.file}${ASKED}`).length
  }

  /** @param expiresAt - what the provider says of their end; the store decides for itself. */
  issue(keys: Keys, expiresAt?: Date): void {
    this.#put({ keys: { ...keys, ...(expiresAt && { expiresAt: expiresAt.toISOString() }) } })
  }

  /** Whoever asks is turned away. */
  close(): void {
    this.#put({ closed: true })
  }

  #put(issue: Issue): void {
    writeFileSync(`${this.file}.new`, JSON.stringify(issue))
    renameSync(`${this.file}.new`, this.file)
  }
}

/** The subject's provider. */
export function keysFrom(file: string): () => Promise<Keys & { readonly expiration?: Date }> {
  return () => {
    const issue: Issue = JSON.parse(readFileSync(file, 'utf8'))
    if ('closed' in issue) {
      appendFileSync(`${file}${ASKED}`, '.')
      // As providers of the SDK say it.
      return Promise.reject(
        Object.assign(new Error('there are no keys at present'), { name: 'CredentialsProviderError' }),
      )
    }
    const { expiresAt, ...keys } = issue.keys
    return Promise.resolve({ ...keys, ...(expiresAt === undefined ? {} : { expiration: new Date(expiresAt) }) })
  }
}
