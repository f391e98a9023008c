import { throughputRound } from './throughput.ts'

// A round in a process of its own: its result is the only line.
const [name = '', records = '', start] = process.argv.slice(2)
process.stdout.write(JSON.stringify(await throughputRound(name, Number(records), start === 'cold' ? 'cold' : 'warm')))
