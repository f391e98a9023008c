export { failpoint } from './runtime/failpoints.ts'
