import { ListDatabasesCommand, TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { describe, expect, it, vi } from 'vitest'
import { runCli, startCli } from './cli-process.ts'
import { bench, clientConfig } from './support.ts'

// Child processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

describe('timestream-local on the command line', () => {
  it('prints its help and its version', async () => {
    const help = await runCli(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    for (const option of ['--port', '--host', '--data', '--help', '--version']) expect(help.stdout).toContain(option)
    expect(await runCli(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    })
  })

  it('reports every wrong argument and ends with code 2', async () => {
    const { code, stdout, stderr } = await runCli([
      '--port',
      '99999',
      '--colour',
      'red',
      '--query-timeout-ms=soon',
      '--data',
    ])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/Unknown option: --colour/)
    expect(stderr).toMatch(/Unknown argument: red/)
    expect(stderr).toMatch(/--query-timeout-ms must be a whole number; got "soon"/)
    expect(stderr).toMatch(/--data needs a value/)
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

  it.each(['SIGINT', 'SIGTERM'] as const)('says where it listens, serves, and ends cleanly on %s', async (signal) => {
    const server = await startCli(['--port', '0'])
    expect(server.greeting).toContain(`endpoint: '${server.endpoint}'`)
    const client = new TimestreamWriteClient(clientConfig(server.endpoint))
    expect((await client.send(new ListDatabasesCommand({}))).Databases).toEqual([])
    expect(await server.kill(signal)).toMatchObject({ code: 0, stderr: '' })
    client.destroy()
  })
})
