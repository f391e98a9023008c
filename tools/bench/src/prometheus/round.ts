import type { CompressVariant } from './compress-round.ts'
import type { EncodeVariant } from './encode-round.ts'
import type { FlatVariant } from './flat-round.ts'
import type { RealTask } from './real-round.ts'
import type { RunRound, Task } from './tasks.ts'

// The process of one variant, which loads no more than it needs. It is told the number of each round, and answers with its result.
const rounds = roundsOf(JSON.parse(process.argv[2] ?? '') as Task | RealTask)
process.on('message', (round: number) => {
  void rounds.then(async (run) => process.send?.(await run(round)))
})

async function roundsOf(task: Task | RealTask): Promise<RunRound> {
  switch (task.part) {
    case 'encode': {
      const { encodeRounds } = await import('./encode-round.ts')
      return await encodeRounds(task.variant as EncodeVariant, task.shape)
    }
    case 'flat': {
      const { flatRounds } = await import('./flat-round.ts')
      return await flatRounds(task.variant as FlatVariant, task.shape)
    }
    case 'compress': {
      const { compressRounds } = await import('./compress-round.ts')
      return compressRounds(task.variant as CompressVariant, task.shape)
    }
    case 'real':
      break
  }
  const { realRounds } = await import('./real-round.ts')
  return await realRounds(task)
}
