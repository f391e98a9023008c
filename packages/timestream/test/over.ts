import type { SinkContext, SinkWriter } from '@sluice/core'
import type { TimestreamSinkOptions } from '../src/options.ts'
import { resolveOptions } from '../src/resolve-options.ts'
import { DirectTransport } from '../src/transport/direct.ts'
import { SdkTransport } from '../src/transport/sdk.ts'
import { makeWriter } from '../src/writers.ts'
import type { FakeService } from './fake-service.ts'

/** A writer as the sink makes it, whose transport ends at the fake service instead of the network. */
export function writerOver<In>(
  transport: 'sdk' | 'direct',
  service: FakeService,
  options: TimestreamSinkOptions<In>,
  context: SinkContext,
): SinkWriter<In> {
  if (transport === 'sdk') {
    return makeWriter(
      context,
      resolveOptions({ ...options, client: service.client }),
      SdkTransport.injected(service.client),
    )
  }
  const resolved = resolveOptions({
    ...options,
    writeClientConfig: { region: 'eu-west-1', endpointOverride: 'http://127.0.0.1:1' },
  })
  return makeWriter(context, resolved, new DirectTransport(resolved.ownClient, context.clock, service.caller))
}
