import { once } from 'node:events'
import { createServer } from 'node:http'
import { PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { startKinesisLocal } from '@sluice/testkit'
import { startTimestreamLocal } from '@sluice/timestream-local'

/** Servers that an example talks to, and the environment that leads it there. */
export interface ExampleServers extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>
}

interface ExampleServer {
  readonly server: AsyncDisposable
  readonly env: Readonly<Record<string, string>>
}

const STARTERS: Readonly<Record<string, () => Promise<ExampleServer>>> = {
  async kinesis() {
    const server = await startKinesisLocal()
    await server.createStream('orders', 1)
    const client = server.client()
    const orders = [1, 2, 3].map((id) => ({
      PartitionKey: `${id}`,
      Data: Buffer.from(JSON.stringify({ id, total: 10 * id })),
    }))
    await client.send(new PutRecordsCommand({ StreamName: 'orders', Records: orders }))
    return { server, env: { AWS_ENDPOINT_URL_KINESIS: server.endpoint, SLUICE_EXAMPLE_STREAM: 'orders' } }
  },
  /** Takes every remote write request. */
  async prometheus() {
    const server = createServer((request, response) => {
      request.resume()
      request.on('end', () => response.writeHead(204).end())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    return { server, env: { REMOTE_WRITE_URL: `http://127.0.0.1:${port}/api/v1/write` } }
  },
  async timestream() {
    const server = await startTimestreamLocal()
    const { endpoint } = server
    return { server, env: { AWS_ENDPOINT_URL_TIMESTREAM_WRITE: endpoint, AWS_ENDPOINT_URL_TIMESTREAM_QUERY: endpoint } }
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
    const start = STARTERS[need]
    if (start === undefined) {
      throw new Error(`needs=${need} is not known (there are: ${Object.keys(STARTERS).join(', ')})`)
    }
    const example = await start()
    started.use(example.server)
    Object.assign(env, example.env)
  }
  const running = started.move()
  return { env, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
