/** The first runnable example of a README. */
export interface ReadmeExample {
  readonly code: string
  /** Servers that have to run beside it: `kinesis`, `timestream`. */
  readonly needs: readonly string[]
  /** Packages that its reader has beside the one that the README is about. */
  readonly beside: readonly string[]
}

const EXAMPLE = /^```ts example(?<info>[^\n]*)\n(?<code>[\s\S]*?)^```\s*$/m

/**
 * Finds the first block with the fence `ts example`, which may go on with `needs=kinesis,timestream` and
 * `with=@aws-sdk/client-timestream-write`.
 *
 * @throws Error when there is none, or when the fence says something else
 */
export function readmeExample(readme: string): ReadmeExample {
  const found = EXAMPLE.exec(readme)?.groups
  if (found === undefined) throw new Error('README.md has no block with the fence ```ts example')
  const words = (found['info'] ?? '').split(' ').filter((word) => word !== '')
  const lists = { needs: [] as string[], with: [] as string[] }
  for (const word of words) {
    const [key, names] = word.split('=', 2)
    if ((key !== 'needs' && key !== 'with') || names === undefined || names === '') {
      throw new Error(`README.md: '${word}' in the fence of the example is not understood`)
    }
    lists[key].push(...names.split(','))
  }
  return { code: found['code'] ?? '', needs: lists.needs, beside: lists.with }
}
