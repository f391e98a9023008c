import { fileURLToPath } from 'node:url'
import { debianPackageOrSkip, type NodeChild, spawnNode, temporaryFolder } from '@sluice/testkit'
import { expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const DEADLINE_MS = 120_000
const skipped = await debianPackageOrSkip('prometheus', 'prometheus')

async function summary(child: NodeChild): Promise<Record<string, unknown>> {
  await child.exit
  return JSON.parse(child.stdout.at(-1) ?? '') as Record<string, unknown>
}

test.skipIf(skipped)(
  'every sample of a run is in Prometheus, which answers in PromQL, and the last line says so',
  { timeout: DEADLINE_MS },
  async () => {
    // What is set for AWS is not used.
    const aws = { AWS_USE_FIPS_ENDPOINT: 'true', AWS_USE_DUALSTACK_ENDPOINT: 'true', AWS_DEFAULTS_MODE: 'bogus' }
    await using child = await spawnNode(MAIN, ['--records', '250', '--shards', '3'], {
      env: { ...process.env, ...aws },
    })
    expect(await summary(child)).toMatchObject({
      demo: 'kinesis-to-prometheus',
      produced: 250,
      samples: 5000,
      stored: 5000,
      missing: 0,
      corrupted: 0,
      deadLettered: 0,
      interrupted: false,
    })
    expect((await child.exit).code).toBe(0)
    const shown = child.stdout.join('\n')
    expect(shown).toContain('avg by (region) (avg_over_time(host_cpu_user[1h]))')
    expect(shown).toMatch(/^eu-west-1 +\d+\.\d\d$/m)
    expect(shown).toContain('stored 5000 samples, missing 0')
  },
)

test.skipIf(skipped)(
  'SIGINT drains: everything that was read is stored, and the result is shown',
  { timeout: DEADLINE_MS },
  async () => {
    await using child = await spawnNode(MAIN, ['--records', '1000000'])
    await child.line(/stored [1-9]\d* samples/, DEADLINE_MS)
    child.kill('SIGINT')
    const result = await summary(child)
    expect(result).toMatchObject({ interrupted: true, corrupted: 0 })
    expect(Number(result['stored'])).toBeGreaterThan(0)
    expect((await child.exit).code).toBe(0)
  },
)

test('without a Prometheus to start the run ends and says so', { timeout: DEADLINE_MS }, async () => {
  await using folder = await temporaryFolder()
  const env = { PATH: folder.path, HOME: folder.path }
  await using child = await spawnNode(MAIN, ['--records', '10'], { env })
  expect((await child.exit).code).toBe(1)
  expect(child.stderr.join('\n')).toMatch(/prometheus/i)
})

test('a command line with mistakes exits with 2 and starts nothing', async () => {
  await using child = await spawnNode(MAIN, ['--record', '10'])
  expect((await child.exit).code).toBe(2)
  expect(child.stderr.join('\n')).toContain("unknown option '--record'")
  expect(child.stdout).toEqual([])
})
