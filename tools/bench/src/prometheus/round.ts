import type { Round } from '../measure.ts'
import { compressRound, type CompressVariant } from './compress-round.ts'
import { encodeRound, type EncodeVariant } from './encode-round.ts'
import { flatRound, type FlatVariant } from './flat-round.ts'
import { realRound, type RealTask } from './real-round.ts'
import type { Task } from './tasks.ts'

// A round in a process of its own: its result is the only line.
process.stdout.write(JSON.stringify(await roundOf(JSON.parse(process.argv[2] ?? '') as Task | RealTask)))

function roundOf(task: Task | RealTask): Promise<Round> {
  switch (task.part) {
    case 'encode':
      return encodeRound(task.variant as EncodeVariant, task.shape, task.round)
    case 'flat':
      return flatRound(task.variant as FlatVariant, task.shape, task.round)
    case 'compress':
      return compressRound(task.variant as CompressVariant, task.shape)
    case 'real':
      return realRound(task)
  }
}
