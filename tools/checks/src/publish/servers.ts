import { startKinesisLocal } from '@sluice/testkit'
import { startTimestreamLocal } from '@sluice/timestream-local'

/** Servers that an example talks to, and the environment that leads it there. */
export interface ExampleServers extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>
}

interface Server extends AsyncDisposable {
  readonly endpoint: string
}

const STARTERS: Readonly<Record<string, { variables: readonly string[]; start: () => Promise<Server> }>> = {
  kinesis: { variables: ['AWS_ENDPOINT_URL_KINESIS'], start: () => startKinesisLocal() },
  timestream: {
    variables: ['AWS_ENDPOINT_URL_TIMESTREAM_WRITE', 'AWS_ENDPOINT_URL_TIMESTREAM_QUERY'],
    start: () => startTimestreamLocal(),
  },
}

const AWS_ENVIRONMENT = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
  AWS_EC2_METADATA_DISABLED: 'true',
}

/** Starts what an example's fence names after `needs=`. @throws Error for a name that is not known */
export async function startServers(needs: readonly string[]): Promise<ExampleServers> {
  await using started = new AsyncDisposableStack()
  const env: Record<string, string> = { ...AWS_ENVIRONMENT }
  for (const need of needs) {
    const starter = STARTERS[need]
    if (starter === undefined) {
      throw new Error(`needs=${need} is not known (there are: ${Object.keys(STARTERS).join(', ')})`)
    }
    const { endpoint } = started.use(await starter.start())
    for (const variable of starter.variables) env[variable] = endpoint
  }
  const running = started.move()
  return { env, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
