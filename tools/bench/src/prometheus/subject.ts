// The stages that are measured are not public: what users have is the client and the sink, which `real` measures.
export { createCompressor } from '../../../../packages/prometheus/src/compress.ts'
export { createEncoder } from '../../../../packages/prometheus/src/encode.ts'
export { emitTimeSeries, recordEntry } from '../../../../packages/prometheus/src/entries.ts'
export { SeriesTable } from '../../../../packages/prometheus/src/series-table.ts'
export { Entry, type Series } from '../../../../packages/prometheus/src/series.ts'
