// Owns a folder until it is told otherwise: the other process of the ownership tests.
import { fileCheckpoints, silentLogger, SluiceError } from '../../src/index.ts'

const [folder = '', then = 'stay'] = process.argv.slice(2)
try {
  const store = await fileCheckpoints(folder).open('test', silentLogger)
  process.send?.('owned')
  if (then === 'leave') await store[Symbol.asyncDispose]()
  else process.on('message', () => {})
} catch (error) {
  process.send?.(SluiceError.isInstance(error) ? error.code : String(error))
}
if (then !== 'stay') process.disconnect()
