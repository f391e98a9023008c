/** One line of `npm run check`. */
export interface Check {
  readonly name: string
  /** Resolves with what is wrong, one entry each; empty means that all is well. A rejection is a failure too. */
  problems(): Promise<readonly string[]>
}
