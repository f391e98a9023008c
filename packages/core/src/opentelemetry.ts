export { exportToOpenTelemetry, type OpenTelemetryOptions } from './metrics/opentelemetry.ts'
