/** The first runnable example of a README. */
export interface ReadmeExample {
  readonly code: string
  /** Servers that have to run beside it: `kinesis`, `timestream`. */
  readonly needs: readonly string[]
}

const EXAMPLE = /^```ts example(?<info>[^\n]*)\n(?<code>[\s\S]*?)^```\s*$/m

/**
 * Finds the first block with the fence `ts example`, or `ts example needs=kinesis,timestream`.
 *
 * @throws Error when there is none, or when the fence says something else
 */
export function readmeExample(readme: string): ReadmeExample {
  const found = EXAMPLE.exec(readme)?.groups
  if (found === undefined) throw new Error('README.md has no block with the fence ```ts example')
  const info = found['info']?.trim() ?? ''
  const needs = /^needs=(?<names>[a-z,]+)$/.exec(info)?.groups?.['names']?.split(',')
  if (info !== '' && needs === undefined)
    throw new Error(`README.md: the fence \`\`\`ts example ${info} is not understood`)
  return { code: found['code'] ?? '', needs: needs ?? [] }
}
