import type { Round } from '../measure.ts'
import type { CompressVariant } from './compress-round.ts'
import type { EncodeVariant } from './encode-round.ts'
import type { FlatVariant } from './flat-round.ts'
import type { RealTask } from './real-round.ts'
import type { Task } from './tasks.ts'

// A round in a process of its own, which loads no more than it needs: its result is the only line.
process.stdout.write(JSON.stringify(await roundOf(JSON.parse(process.argv[2] ?? '') as Task | RealTask)))

async function roundOf(task: Task | RealTask): Promise<Round> {
  switch (task.part) {
    case 'encode': {
      const { encodeRound } = await import('./encode-round.ts')
      return encodeRound(task.variant as EncodeVariant, task.shape, task.round)
    }
    case 'flat': {
      const { flatRound } = await import('./flat-round.ts')
      return flatRound(task.variant as FlatVariant, task.shape, task.round)
    }
    case 'compress': {
      const { compressRound } = await import('./compress-round.ts')
      return compressRound(task.variant as CompressVariant, task.shape)
    }
    case 'real':
      break
  }
  const { realRound } = await import('./real-round.ts')
  return realRound(task)
}
