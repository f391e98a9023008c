import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  waitUntilStreamExists,
} from '@aws-sdk/client-kinesis'
import { TimestreamQueryClient } from '@aws-sdk/client-timestream-query'
import { CreateDatabaseCommand, CreateTableCommand, TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { awsRequestHandler } from '@sluice/aws'
import type { KinesisSourceOptions } from '@sluice/kinesis'
import { startKinesisLocal } from '@sluice/testkit'
import type { TimestreamSinkOptions } from '@sluice/timestream'
import { startTimestreamLocal } from '@sluice/timestream-local'
import type { DemoOptions } from './arguments.ts'
import type { HostRecord } from './records.ts'

/** The stream and the table of a run, and clients for the demo's own use: producing, and looking at the result. */
export interface Services extends AsyncDisposable {
  readonly where: string
  readonly kinesis: KinesisClient
  readonly query: TimestreamQueryClient
  /** How the pipeline reaches the local servers; empty on AWS: what the AWS SDK finds. */
  readonly source: Pick<KinesisSourceOptions<HostRecord>, 'client'>
  readonly sink: Pick<TimestreamSinkOptions<HostRecord>, 'writeClientConfig' | 'credentials'>
  /** The journal of the local Timestream. */
  readonly journalPath: string | undefined
}

/** Nothing of the user's own settings for AWS. */
const LOCAL = { region: 'us-east-1', useFipsEndpoint: false, useDualstackEndpoint: false }
const LOCAL_CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' }
const MEMORY_STORE_HOURS = 24
const MAGNETIC_STORE_DAYS = 7
const STREAM_DEADLINE_SECONDS = 120

/** Starts the local servers on loopback, or connects to AWS; either way the stream and the table then exist. */
export function openServices(options: DemoOptions, say: (line: string) => void): Promise<Services> {
  return options.aws ? awsServices(options, say) : localServices(options, say)
}

async function localServices(options: DemoOptions, say: (line: string) => void): Promise<Services> {
  await using resources = new AsyncDisposableStack()
  const starting = [startKinesisLocal(), startTimestreamLocal()] as const
  // One that started is closed also when the other one cannot start.
  for (const each of await Promise.allSettled(starting)) if (each.status === 'fulfilled') resources.use(each.value)
  const [kinesisLocal, timestreamLocal] = await Promise.all(starting)
  say(`kinesis-local    ${kinesisLocal.endpoint}`)
  say(`timestream-local ${timestreamLocal.endpoint}`)
  const kinesis = kinesisLocal.client()
  const settings = {
    ...LOCAL,
    endpoint: timestreamLocal.endpoint,
    credentials: LOCAL_CREDENTIALS,
    defaultsMode: 'standard' as const,
  }
  const write = resources.adopt(new TimestreamWriteClient(settings), (client) => client.destroy())
  const query = resources.adopt(new TimestreamQueryClient(settings), (client) => client.destroy())
  await Promise.all([kinesisLocal.createStream(options.stream, options.shards), createTable(write, options)])
  const owned = resources.move()
  return {
    where: 'local servers',
    kinesis,
    query,
    source: { client: kinesisLocal.client() },
    sink: {
      writeClientConfig: { ...LOCAL, endpointOverride: timestreamLocal.endpoint },
      credentials: LOCAL_CREDENTIALS,
    },
    journalPath: timestreamLocal.journalPath,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function awsServices(options: DemoOptions, say: (line: string) => void): Promise<Services> {
  await using resources = new AsyncDisposableStack()
  const requestHandler = awsRequestHandler({ maxSockets: 10 })
  const kinesis = resources.adopt(new KinesisClient({ requestHandler }), (client) => client.destroy())
  const write = resources.adopt(new TimestreamWriteClient({}), (client) => client.destroy())
  const query = resources.adopt(new TimestreamQueryClient({}), (client) => client.destroy())
  const region = await kinesis.config.region().catch((error: unknown) => {
    throw new Error('no region: set AWS_REGION or one in the AWS profile', { cause: error })
  })
  say(`AWS, region ${region}: Kinesis and Timestream charge for what this run writes and reads`)
  if (options.create) {
    say(`creating what is missing of stream ${options.stream}, database ${options.database}, table ${options.table}`)
    await Promise.all([createStream(kinesis, options), createTable(write, options)])
  }
  await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: options.stream }))
  const owned = resources.move()
  return {
    where: 'AWS',
    kinesis,
    query,
    source: {},
    sink: {},
    journalPath: undefined,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function createStream(client: KinesisClient, { stream, shards }: DemoOptions): Promise<void> {
  await unlessPresent('ResourceInUseException', () =>
    client.send(new CreateStreamCommand({ StreamName: stream, ShardCount: shards })),
  )
  await waitUntilStreamExists({ client, maxWaitTime: STREAM_DEADLINE_SECONDS }, { StreamName: stream })
}

async function createTable(client: TimestreamWriteClient, { database, table }: DemoOptions): Promise<void> {
  await unlessPresent('ConflictException', () => client.send(new CreateDatabaseCommand({ DatabaseName: database })))
  await unlessPresent('ConflictException', () =>
    client.send(
      new CreateTableCommand({
        DatabaseName: database,
        TableName: table,
        RetentionProperties: {
          MemoryStoreRetentionPeriodInHours: MEMORY_STORE_HOURS,
          MagneticStoreRetentionPeriodInDays: MAGNETIC_STORE_DAYS,
        },
      }),
    ),
  )
}

async function unlessPresent(present: string, create: () => Promise<unknown>): Promise<void> {
  try {
    await create()
  } catch (error) {
    if (!(error instanceof Error) || error.name !== present) throw error
  }
}
