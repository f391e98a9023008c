import { orderKeyOf, type SinkContext } from '@sluice/core'
import type { ResolvedOptions } from './options.ts'
import type { Entry } from './record/entry.ts'
import type { Transport } from './transport/transport.ts'
import { TimestreamSinkWriter } from './writer.ts'

/** Records of different tables never share a request. */
class RoutedWriter<In> extends TimestreamSinkWriter<In> {
  protected override destination(entry: Entry): string {
    return entry.table
  }
}

/** Records of one series are sent in their order. */
class OrderedWriter<In> extends TimestreamSinkWriter<In> {
  protected override orderKey(entry: Entry): number {
    return orderKeyOf(entry.series.identity)
  }
}

class RoutedOrderedWriter<In> extends RoutedWriter<In> {
  protected override orderKey(entry: Entry): number {
    return orderKeyOf(entry.series.identity)
  }
}

/** The engine looks which methods a writer has, and does without what is not asked for. */
export function makeWriter<In>(
  context: SinkContext,
  options: ResolvedOptions<In>,
  transport: Transport,
): TimestreamSinkWriter<In> {
  const isRouted = options.router !== undefined
  if (options.orderBySeries) {
    return new (isRouted ? RoutedOrderedWriter : OrderedWriter)(context, options, transport)
  }
  return new (isRouted ? RoutedWriter : TimestreamSinkWriter)(context, options, transport)
}
