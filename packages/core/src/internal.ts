export { decodeNamed, encodeCheckpoint } from './checkpoint/format.ts'
export { decodeHint, encodeHint, HINT_FILE } from './checkpoint/hint.ts'
export { type CheckpointName, checkpointName, checkpointNames } from './checkpoint/names.ts'
export { failpoint } from './runtime/failpoints.ts'
