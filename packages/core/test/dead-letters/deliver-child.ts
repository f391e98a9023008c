// Delivers letters for ever and says which were confirmed: the process that the tests kill.
import { fileDeadLetters } from '../../src/index.ts'
import { letter } from './harness.ts'

const [folder = '', run = ''] = process.argv.slice(2)
const deadLetters = fileDeadLetters(folder)
for (let index = 0; ; index += 3) {
  const ids = [index, index + 1, index + 2].map((each) => `${run}-${each}`)
  const signal = new AbortController().signal
  const raw = Buffer.alloc(50_000).toString('base64')
  await Promise.all(ids.map((id) => deadLetters.deliver(letter({ id, raw }), { signal, attempt: 1 })))
  process.stdout.write(ids.map((id) => `${id}\n`).join(''))
}
