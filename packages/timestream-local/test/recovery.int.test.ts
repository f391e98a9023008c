import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readJournal, startTimestreamLocal, type TimestreamLocalOptions } from '../src/index.ts'
import { startCli, type CliServer } from './cli-process.ts'
import { Bench, bench, DB, multi, record, TABLE } from './support.ts'

// Child processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

let dataDir: string
const started: CliServer[] = []

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'timestream-local-test-'))
})
afterEach(async () => {
  for (const server of started.splice(0)) await server.kill()
  rmSync(dataDir, { recursive: true, force: true })
})

async function cli(maxFileKiB?: number): Promise<CliServer> {
  const server = await startCli(['--port', '0', '--data', dataDir], maxFileKiB)
  started.push(server)
  return server
}

function clientsOf(server: CliServer): Bench {
  return new Bench({
    endpoint: server.endpoint,
    journalPath: join(dataDir, 'journal.ndjson'),
    close: () => Promise.resolve(),
  } as Bench['server'])
}

describe('restart', () => {
  it('brings back databases, tables, settings, versions and rows', async () => {
    const time = String(Date.now())
    const values = [
      { Name: 'count', Value: '9223372036854775807', Type: 'BIGINT' },
      { Name: 'seen', Value: '1700000000000', Type: 'TIMESTAMP' },
    ] as const
    const sql = `SELECT * FROM ${DB}.${TABLE} ORDER BY measure_name`
    let before: unknown
    {
      await using local = await bench({ dataDir })
      await local.createTable({
        RetentionProperties: { MemoryStoreRetentionPeriodInHours: 9, MagneticStoreRetentionPeriodInDays: 9 },
      })
      await local.write([
        record({ Time: time, Version: 1_700_000_000_000_000_001n as never }),
        multi([...values], { Time: time }),
      ])
      await local.write([record({ Time: time, MeasureValue: '2', Version: 1_700_000_000_000_000_002n as never })])
      before = await local.rows(sql)
    }
    await using local = await bench({ dataDir })
    expect(await local.rows(sql)).toEqual(before)
    const { rejected } = await local.write([record({ Time: time, Version: 1_700_000_000_000_000_001n as never })])
    expect(rejected?.[0]?.ExistingVersion).toBe(1_700_000_000_000_000_002n)
    expect((await local.write([multi([...values], { Time: time })])).ingested?.Total).toBe(1)
    expect((await local.journal()).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6])
    const old = await local.write([record({ Time: String(Date.now() - 8 * 3_600_000) })])
    expect(old.ingested?.Total).toBe(1)
  })

  it('after kill -9 under load, every write that was answered is there once', async () => {
    const first = await cli()
    const local = clientsOf(first)
    await local.createTable()
    const acknowledged: string[] = []
    const base = Date.now() - 60_000
    const writers = Array.from({ length: 4 }, async (_, w) => {
      for (let i = 0; ; i++) {
        const names = Array.from({ length: 10 }, (_unused, r) => `w${w}-${i}-${r}`)
        const records = names.map((name) => record({ Dimensions: [{ Name: 'host', Value: name }], Time: String(base) }))
        await local.write(records)
        acknowledged.push(...names)
      }
    })
    const ended = Promise.allSettled(writers)
    await expect.poll(() => acknowledged.length, { timeout: 45_000 }).toBeGreaterThan(500)
    await first.kill('SIGKILL')
    await ended
    await local[Symbol.asyncDispose]()

    await using after = clientsOf(await cli())
    const rows: (string | null)[] = []
    const sql = `SELECT host FROM ${DB}.${TABLE}`
    for (let token: string | undefined, page = 0; page === 0 || token !== undefined; page++) {
      const answer = await after.query(sql, token === undefined ? {} : { NextToken: token })
      rows.push(...(answer.Rows ?? []).map(({ Data }) => Data?.[0]?.ScalarValue ?? null))
      token = answer.NextToken
    }
    const held = new Set(rows)
    expect(held.size).toBe(rows.length)
    expect(acknowledged.filter((name) => !held.has(name))).toEqual([])
  })

  it('a journal that is full refuses that write and all later ones; what was answered is there after a restart', async () => {
    const full = await cli(600)
    const local = clientsOf(full)
    await local.createTable()
    const answered: string[] = []
    const text = { MeasureValueType: 'VARCHAR', MeasureValue: 'x'.repeat(1000) } as const
    const write = async (name: string): Promise<void> => {
      const hosts = Array.from({ length: 100 }, (_, r) => `${name}-${r}`)
      await local.write(hosts.map((host) => record({ ...text, Dimensions: [{ Name: 'host', Value: host }] })))
      answered.push(...hosts)
    }
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await write(`w${i}`)
    }
    await expect(fill()).rejects.toMatchObject({
      name: 'InternalServerException',
      message: expect.stringMatching(/journal cannot be written/) as string,
    })
    await expect(write('later')).rejects.toMatchObject({ name: 'InternalServerException' })
    expect(answered.length).toBeGreaterThan(100)
    await full.kill()
    await local[Symbol.asyncDispose]()

    await using after = clientsOf(await cli())
    const rows = await after.rows(`SELECT host FROM ${DB}.${TABLE}`)
    expect(rows).toHaveLength(answered.length)
    expect(new Set(rows.map(([host]) => host))).toEqual(new Set(answered))
  })

  it('cuts off a torn last line and goes on behind it', async () => {
    {
      await using local = await bench({ dataDir })
      await local.createTable()
      await local.write([record()])
    }
    const path = join(dataDir, 'journal.ndjson')
    const whole = readFileSync(path, 'utf8')
    const last = whole.trimEnd().split('\n').at(-1) ?? ''
    appendFileSync(path, last.slice(0, last.length / 2))
    const seen: number[] = []
    for await (const { seq } of readJournal(path)) seen.push(seq)
    expect(seen).toEqual([1, 2, 3])
    {
      await using local = await bench({ dataDir })
      expect(readFileSync(path, 'utf8')).toBe(whole)
      await local.write([record({ MeasureName: 'next' })])
    }
    await using local = await bench({ dataDir })
    expect((await local.journal()).map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    expect(await local.rows(`SELECT count(*) FROM ${DB}.${TABLE}`)).toEqual([['2']])
  })

  it('refuses a journal that is damaged before its end, and names the line', async () => {
    {
      await using local = await bench({ dataDir })
      await local.createTable()
    }
    const path = join(dataDir, 'journal.ndjson')
    const [one, two] = readFileSync(path, 'utf8').split('\n')
    writeFileSync(path, `${one}\n${two?.slice(0, 30)}\n${two}\n`)
    await expect(bench({ dataDir })).rejects.toMatchObject({
      code: 'TIMESTREAM_LOCAL_JOURNAL',
      message: expect.stringContaining('Line 2 of the journal') as string,
    })
    writeFileSync(path, `${one?.replace('CreateDatabase', 'Explode')}\n`)
    await expect(bench({ dataDir })).rejects.toThrow(/Line 1 .*Explode/)
  })

  it('keeps a body with line breaks on one line', async () => {
    await using local = await bench({ dataDir })
    await local.createTable()
    const pretty = JSON.stringify(
      { DatabaseName: DB, TableName: TABLE, Records: [record({ MeasureValueType: 'VARCHAR', MeasureValue: 'a\nb' })] },
      null,
      2,
    )
    await fetch(local.server.endpoint, {
      method: 'POST',
      headers: { 'x-amz-target': 'Timestream_20181101.WriteRecords' },
      body: pretty.replaceAll('\n', '\r\n'),
    })
    const entry = (await local.journal()).at(-1)
    expect(entry?.operation === 'WriteRecords' && entry.records[0]?.measures).toEqual([
      { name: 'cpu', type: 'VARCHAR', value: 'a\nb' },
    ])
  })
})

describe('one server per folder and port', () => {
  it('refuses a folder that this process or another one has', async () => {
    await using local = await bench({ dataDir })
    expect(local.server.dataDir).toContain('timestream-local-test-')
    await expect(startTimestreamLocal({ dataDir })).rejects.toMatchObject({ code: 'TIMESTREAM_LOCAL_DATA_IN_USE' })
    const other = await startCli(['--port', '0', '--data', dataDir]).catch((error: unknown) => error)
    expect(String(other)).toMatch(/exit code 1[\s\S]*is in use by PID \d+/)
  })

  it('frees the folder when it could not start, and at close', async () => {
    await using taken = await bench()
    const port = taken.server.port
    const inUse = await startTimestreamLocal({ dataDir, port }).catch((error: unknown) => error)
    expect(inUse).toMatchObject({
      code: 'TIMESTREAM_LOCAL_PORT_IN_USE',
      message: expect.stringContaining(`Port ${port} on 127.0.0.1 is in use`) as string,
    })
    for (let i = 0; i < 2; i++) await (await startTimestreamLocal({ dataDir })).close()
  })

  it('removes a temporary folder at close, which may be called again', async () => {
    const server = await startTimestreamLocal()
    expect(existsSync(server.journalPath)).toBe(true)
    await Promise.all([server.close(), server.close()])
    await server.close()
    expect(existsSync(server.dataDir)).toBe(false)
  })

  it('reports all wrong options at once', async () => {
    const lists = { credentials: [null, 'a'], faults: [null] } as unknown as TimestreamLocalOptions
    const wrong = { port: -1, host: '', maxRequestBytes: 1.5, colour: 'red', ...lists }
    const error: unknown = await startTimestreamLocal(wrong).catch((failure: unknown) => failure)
    expect(error).toMatchObject({
      code: 'TIMESTREAM_LOCAL_OPTIONS',
      problems: [
        expect.stringContaining('colour'),
        expect.stringContaining('port must be a whole number from 0 to 65535; got -1'),
        expect.stringContaining('host'),
        expect.stringContaining('maxRequestBytes'),
        'credentials[0] must be an object.',
        'credentials[1] must be an object.',
        'faults[0]: A fault must be an object.',
      ] as string[],
    })
  })
})
