export { setFailpoint } from './runtime/failpoints.ts'
