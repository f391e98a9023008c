import { compressRound, type CompressVariant } from './compress-round.ts'
import { encodeRound, type EncodeVariant } from './encode-round.ts'
import { flatRound, type FlatVariant } from './flat-round.ts'
import type { Task } from './tasks.ts'

// A round in a process of its own: its result is the only line.
const task = JSON.parse(process.argv[2] ?? '') as Task
const { part, variant, shape, round } = task
const result =
  part === 'encode'
    ? await encodeRound(variant as EncodeVariant, shape, round)
    : part === 'flat'
      ? await flatRound(variant as FlatVariant, shape, round)
      : await compressRound(variant as CompressVariant, shape)
process.stdout.write(JSON.stringify(result))
