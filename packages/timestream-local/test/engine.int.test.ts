import { afterEach, expect, it, vi } from 'vitest'
import { newCounters } from '../src/counters.ts'
import { DataDir } from '../src/data-dir.ts'
import { Engine } from '../src/engine.ts'
import { resolveOptions } from '../src/options.ts'
import { DB, record, TABLE } from './support.ts'

afterEach(() => {
  vi.useRealTimers()
})

it('fills nothing into a query store that is closed', async () => {
  const folder = await DataDir.open(undefined)
  const engine = await Engine.open(folder, resolveOptions({}), newCounters())
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const run = (operation: string, request: object): Promise<object> =>
    engine.run(operation, {
      requestId: 'id',
      body: Buffer.from(JSON.stringify(request)),
      signal: undefined,
      reject: undefined,
    })
  await run('CreateDatabase', { DatabaseName: DB })
  await run('CreateTable', { DatabaseName: DB, TableName: TABLE })
  await run('WriteRecords', { DatabaseName: DB, TableName: TABLE, Records: [record()] })
  expect(vi.getTimerCount()).toBe(1)
  await engine.close()
  expect(vi.getTimerCount()).toBe(0)
  folder.close()
})
