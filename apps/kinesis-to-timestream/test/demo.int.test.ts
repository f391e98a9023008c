import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type NodeChild, spawnNode, startKinesisLocal, temporaryFolder } from '@sluice/testkit'
import { startTimestreamLocal } from '@sluice/timestream-local'
import { expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const DEADLINE_MS = 60_000

async function summary(child: NodeChild): Promise<Record<string, unknown>> {
  await child.exit
  return JSON.parse(child.stdout.at(-1) ?? '') as Record<string, unknown>
}

test('every record of a run lands in the table, and the last line says so', { timeout: DEADLINE_MS }, async () => {
  await using child = await spawnNode(MAIN, ['--records', '300', '--shards', '3'])
  expect(await summary(child)).toMatchObject({
    demo: 'kinesis-to-timestream',
    produced: 300,
    stored: 300,
    missing: 0,
    deadLettered: 0,
    interrupted: false,
  })
  expect((await child.exit).code).toBe(0)
})

test('local servers need no keys, and what is set for AWS is not used', { timeout: DEADLINE_MS }, async () => {
  await using folder = await temporaryFolder()
  const config = join(folder.path, 'config')
  await writeFile(
    config,
    '[profile work]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = reader\n' +
      'region = eu-west-1\n[sso-session company]\nsso_start_url = https://127.0.0.1:1\nsso_region = eu-west-1\n',
  )
  const env = {
    ...process.env,
    AWS_PROFILE: 'work',
    AWS_CONFIG_FILE: config,
    AWS_SHARED_CREDENTIALS_FILE: config,
    AWS_USE_FIPS_ENDPOINT: 'true',
    AWS_USE_DUALSTACK_ENDPOINT: 'true',
    AWS_DEFAULTS_MODE: 'bogus',
  }
  await using child = await spawnNode(MAIN, ['--records', '100'], { env })
  expect(await summary(child)).toMatchObject({ produced: 100, stored: 100, missing: 0 })
  expect((await child.exit).code).toBe(0)
})

test('collisions that were asked for are dropped, counted and shown as missing', { timeout: DEADLINE_MS }, async () => {
  await using child = await spawnNode(MAIN, ['--records', '200', '--collisions', '7'])
  expect(await summary(child)).toMatchObject({ produced: 200, stored: 193, missing: 7, dropped: 7 })
  expect((await child.exit).code).toBe(0)
})

test(
  'SIGINT drains: everything that was read is stored, and the result is shown',
  { timeout: DEADLINE_MS },
  async () => {
    await using child = await spawnNode(MAIN, ['--records', '1000000'])
    await child.line(/stored [1-9]/, DEADLINE_MS)
    child.kill('SIGINT')
    const result = await summary(child)
    expect(result).toMatchObject({ interrupted: true, corrupted: 0 })
    expect(Number(result['stored'])).toBeGreaterThan(0)
    expect((await child.exit).code).toBe(0)
  },
)

test(
  '--aws runs on the endpoints that the AWS SDK finds, and creates what is missing when asked',
  { timeout: DEADLINE_MS },
  async () => {
    await using kinesis = await startKinesisLocal()
    await using timestream = await startTimestreamLocal()
    const env = {
      ...process.env,
      AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
      AWS_ENDPOINT_URL_TIMESTREAM_WRITE: timestream.endpoint,
      AWS_ENDPOINT_URL_TIMESTREAM_QUERY: timestream.endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    }
    await using missing = await spawnNode(MAIN, ['--aws', '--stream', 'hosts'], { env })
    expect((await missing.exit).code).toBe(1)
    expect(missing.stderr.join('\n')).toMatch(/hosts/)
    await using child = await spawnNode(MAIN, ['--aws', '--create', '--stream', 'hosts', '--records', '100'], { env })
    expect(await summary(child)).toMatchObject({ produced: 100, stored: 100, missing: 0, duplicates: null })
    expect((await child.exit).code).toBe(0)
  },
)

test('an admin port that is in use is one clear error', { timeout: DEADLINE_MS }, async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    await using child = await spawnNode(MAIN, ['--records', '10', '--admin-port', String(port)])
    expect((await child.exit).code).toBe(1)
    expect(child.stderr.join('\n')).toContain(`cannot listen on 127.0.0.1:${port}: the port is in use`)
  } finally {
    server.close()
  }
})

test('a server that cannot start ends the run, also when the other one runs', { timeout: DEADLINE_MS }, async () => {
  await using folder = await temporaryFolder()
  const missing = join(folder.path, 'missing')
  await using child = await spawnNode(MAIN, ['--records', '10'], { env: { ...process.env, TMPDIR: missing } })
  expect((await child.exit).code).toBe(1)
  expect(child.stderr.join('\n')).toContain(missing)
})

test('a command line with mistakes exits with 2 and starts nothing', async () => {
  await using child = await spawnNode(MAIN, ['--record', '10'])
  expect((await child.exit).code).toBe(2)
  expect(child.stderr.join('\n')).toContain("unknown option '--record'")
  expect(child.stdout).toEqual([])
})
