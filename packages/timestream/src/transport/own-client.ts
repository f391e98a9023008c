import { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { awsClientConfig, awsRequestHandler } from '@sluice/aws'
import type { OwnClientOptions } from '../options.ts'
import { credentialsOf } from './credentials.ts'
import { RetryStrategy } from './retry-strategy.ts'

/** Makes clients of our own; called again to discover the endpoint anew. All share one handler. */
export type ClientFactory = () => TimestreamWriteClient

/** @param closed - ends the pauses between tries. */
export function clientFactory(options: OwnClientOptions, closed: AbortSignal): ClientFactory {
  const { region, endpointOverride, useFipsEndpoint, useDualstackEndpoint } = options
  const credentials = credentialsOf(options)
  const profile = options.credentialConfig.profileName
  const config = awsClientConfig(
    {
      ...(region === undefined ? {} : { region }),
      ...(endpointOverride === undefined ? {} : { endpoint: endpointOverride }),
      ...(useFipsEndpoint === undefined ? {} : { useFipsEndpoint }),
      ...(useDualstackEndpoint === undefined ? {} : { useDualstackEndpoint }),
      ...(credentials === undefined ? {} : { credentials }),
      ...(profile === undefined ? {} : { profile }),
      maxAttempts: options.maxErrorRetry + 1,
    },
    'TimestreamSink',
  )
  const requestHandler = awsRequestHandler({
    maxSockets: options.maxConcurrency,
    requestTimeoutMs: options.requestTimeout,
    connectionTimeoutMs: Math.min(5000, options.requestTimeout),
  })
  const retryStrategy = new RetryStrategy(options.maxErrorRetry, closed)
  return () => {
    const client = new TimestreamWriteClient({ ...config, requestHandler, retryStrategy, cacheMiddleware: true })
    // It copies and filters every input and output for a logger that does not exist.
    client.middlewareStack.remove('loggerMiddleware')
    return client
  }
}
