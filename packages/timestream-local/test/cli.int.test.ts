import { ListDatabasesCommand, TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { startTimestreamLocal } from '../src/index.ts'
import { CLI, runCli, startCli } from './cli-process.ts'
import { bench, clientConfig, post } from './support.ts'

// Child processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

function list(client: TimestreamWriteClient): Promise<unknown> {
  return client.send(new ListDatabasesCommand({})).catch((error: unknown) => error)
}

describe('timestream-local on the command line', () => {
  it('prints its help and its version', async () => {
    const help = await runCli(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    const options = [
      '--port',
      '--host',
      '--data',
      '--discard',
      '--credentials',
      '--require-discovery',
      '--fault',
      '--version',
    ]
    for (const option of options) expect(help.stdout).toContain(option)
    expect(help.stdout).toMatch(/--discard .*\n.*no record is rejected but by a reject fault/)
    expect(await runCli(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    })
  })

  it('reports every wrong argument and ends with code 2', async () => {
    const { code, stdout, stderr } = await runCli([
      '--port',
      '99999',
      '--constructor',
      '--fault=throttle,seed=',
      '--fault=reject,records=',
      '--fault=delay,times=2',
      '--colour',
      'red',
      '--query-timeout-ms=soon',
      '--discard=yes',
      '--endpoint-ttl-minutes=0',
      '--credentials=/nowhere/keys.json',
      '--fault=explode,times',
      '--data',
    ])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/Unknown option: --colour/)
    expect(stderr).toMatch(/Unknown option: --constructor/)
    expect(stderr).toMatch(/--fault: "seed=" must have the form name=value/)
    expect(stderr).toMatch(/--fault: "records=" must have the form name=value/)
    expect(stderr).toMatch(/Unknown argument: red/)
    expect(stderr).toMatch(/--query-timeout-ms must be a whole number; got "soon"/)
    expect(stderr).toMatch(/--data needs a value/)
    expect(stderr).toMatch(/--discard takes no value; got "yes"/)
    expect(stderr).toMatch(/endpointTtlMinutes must be a whole number from 1 to 1440; got 0/)
    expect(stderr).toMatch(/--credentials: .nowhere.keys.json cannot be read/)
    expect(stderr).toMatch(/--fault: "times" must have the form name=value/)
    expect(stderr).toMatch(/faults\[2\]: delayMs of delay must be given/)
    expect(stderr).toMatch(/faults\[3\]: kind must be one of throttle/)
    expect(stderr).toMatch(/port must be a whole number from 0 to 65535; got 99999/)
  })

  it('names the port that is in use and ends with code 1', async () => {
    await using other = await bench()
    const { code, stderr } = await runCli(['--port', String(other.server.port)])
    expect(code).toBe(1)
    expect(stderr).toBe(
      `timestream-local: Port ${other.server.port} on 127.0.0.1 is in use; choose another port, or 0 for a free one.\n`,
    )
  })

  it('makes the data folder with the folders above it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'timestream-local-data-'))
    const server = await startCli(['--port=0', '--data', join(folder, 'a', 'b')])
    expect(existsSync(join(folder, 'a', 'b', 'lock.duckdb'))).toBe(true)
    expect(await server.kill('SIGTERM')).toMatchObject({ code: 0, stderr: '' })
    rmSync(folder, { recursive: true })
  })

  it.runIf(process.platform === 'linux').each([
    // Linux says ENOENT there, although the folder above exists.
    ['/proc/x', "ENOENT: no such file or directory, mkdir '/proc/x'"],
    ['/dev/null/x', "EEXIST: file already exists, mkdir '/dev/null'"],
  ])('says at once that the data folder %s cannot be made', (folder, reason) => {
    const ended = spawnSync(process.execPath, [CLI, '--port=0', '--data', folder], {
      timeout: 30_000,
      encoding: 'utf8',
    })
    expect(ended.stderr).toBe(`timestream-local: The data folder ${folder} cannot be used: ${reason}\n`)
    expect(ended.status).toBe(1)
  })

  it('refuses a data folder that DuckDB would take for another one, and does not make it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'timestream-local-data-'))
    const dataDir = join(folder, 'a?b')
    const problem = `The data folder ${dataDir} cannot be used: a path with a question mark means another one to DuckDB`
    await expect(startTimestreamLocal({ dataDir })).rejects.toMatchObject({
      code: 'TIMESTREAM_LOCAL_DATA_DIR',
      problems: [problem],
    })
    expect(readdirSync(folder)).toEqual([])
    mkdirSync(dataDir)
    symlinkSync(dataDir, join(folder, 'link'))
    expect(await runCli(['--port=0', '--data', join(folder, 'link')])).toMatchObject({
      code: 1,
      stderr: `timestream-local: ${problem.replace('a?b', 'link')}\n`,
    })
    rmSync(folder, { recursive: true })
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('says where it listens, serves, and ends cleanly on %s', async (signal) => {
    const server = await startCli(['--port', '0'])
    expect(server.greeting).toContain(`endpoint: '${server.endpoint}'`)
    const client = new TimestreamWriteClient(clientConfig(server.endpoint))
    expect((await client.send(new ListDatabasesCommand({}))).Databases).toEqual([])
    expect(await server.kill(signal)).toMatchObject({ code: 0, stderr: '' })
    client.destroy()
  })

  it('has times in UTC, whatever the zone of the machine', async () => {
    vi.stubEnv('TZ', 'America/New_York')
    const server = await startCli(['--port', '0']).finally(() => vi.unstubAllEnvs())
    const QueryString =
      "SELECT from_iso8601_timestamp('2024-01-01T00:00:00'), date_trunc('day', TIMESTAMP '2024-01-01 02:00:00' AT TIME ZONE 'UTC')"
    const { body } = await post(server.endpoint, 'Query', JSON.stringify({ QueryString }))
    const midnight = { ScalarValue: '2024-01-01 00:00:00.000000000' }
    expect(body['Rows']).toEqual([{ Data: [midnight, midnight] }])
    expect(await server.kill('SIGTERM')).toMatchObject({ code: 0 })
  })

  it('starts with faults, keys, discovery and without keeping, as told', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'timestream-local-keys-'))
    const file = join(folder, 'keys.json')
    const keys = { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c' }
    writeFileSync(file, JSON.stringify([{ ...keys, expiresAt: '2999-01-01T00:00:00Z' }]))
    const faults = [
      '--fault=throttle,operation=ListDatabases,times=1,message=slow',
      '--fault=reject,records=1:2',
      '--fault=delay,operation=*,delayMs=1,probability=0.5,seed=7',
    ]
    const server = await startCli(['--port=0', '--credentials', file, '--require-discovery', '--discard', ...faults])
    expect(server.greeting).toContain('Signatures are checked')
    const status = (await (await fetch(`${server.endpoint}/_local/status`)).json()) as object
    expect(status).toMatchObject({
      counters: { requests: 0 },
      faults: {
        active: [
          { options: { kind: 'throttle', operation: 'ListDatabases', times: 1, message: 'slow' } },
          { options: { kind: 'reject', operation: 'WriteRecords', records: [1, 2] } },
          { options: { kind: 'delay', operation: '*', delayMs: 1, probability: 0.5, seed: 7 } },
        ],
      },
    })
    const client = (credentials: typeof keys): TimestreamWriteClient =>
      new TimestreamWriteClient({ ...clientConfig(server.endpoint), credentials })
    expect(await list(client(keys))).toMatchObject({ name: 'ThrottlingException', message: 'slow' })
    expect(await list(client(keys))).toMatchObject({ name: 'UnknownOperationException' })
    expect(await list(client({ ...keys, secretAccessKey: 'x' }))).toMatchObject({ name: 'InvalidSignatureException' })
    expect(await server.kill('SIGTERM')).toMatchObject({ code: 0, stderr: '' })
    rmSync(folder, { recursive: true })
  })
})
