import snappyjs from 'snappyjs'
import { clocked } from '../measure.ts'
import { createCompressor } from './subject.ts'
import type { RunRound } from './tasks.ts'
import { peerRequests, requests, type Shape } from './workload.ts'
import { prometheus } from './write-request.js'

const BODIES = 40
/** Bytes that a round compresses, and as many before the clock starts: until then WebAssembly has its fast code too. */
const ROUND_BYTES = 100e6

export type CompressVariant = 'ours' | 'snappyjs'

/** What a round compresses. */
export function compressWork(shape: Shape): { readonly bodyBytes: number; readonly roundBytes: number } {
  return workOf(bodiesOf(shape))
}

function workOf(bodies: readonly Uint8Array[]): { bodyBytes: number; roundBytes: number; times: number } {
  const bytes = bodies.reduce((sum, { byteLength }) => sum + byteLength, 0)
  const times = Math.ceil(ROUND_BYTES / bytes)
  return { bodyBytes: bytes / bodies.length, roundBytes: bytes * times, times }
}

/** Compresses bodies, the rounds of one variant; what comes out must be the bodies again. */
export function compressRounds(variant: CompressVariant, shape: Shape): RunRound {
  const bodies = bodiesOf(shape)
  const compress = variant === 'ours' ? createCompressor() : (body: Uint8Array) => snappyjs.compress(body)
  const { times } = workOf(bodies)
  const run = (): number => {
    let bytes = 0
    for (let time = 0; time < times; time++) {
      for (let index = 0; index < bodies.length; index++) bytes += compress(bodies[index] as Uint8Array).byteLength
    }
    return bytes
  }
  run()
  for (const body of bodies) {
    if (Buffer.compare(snappyjs.uncompress(compress(body)), body) !== 0) throw new Error(`${variant}: other bytes`)
  }
  return () =>
    clocked(() => {
      if (run() === 0) throw new Error(`${variant}: nothing came out`)
      return Promise.resolve(`${BODIES * times} bodies`)
    })
}

/** As plain Uint8Arrays: of a Buffer snappyjs would make another one that is slower to fill. */
function bodiesOf(shape: Shape): Uint8Array[] {
  return peerRequests(requests(shape, 0, BODIES)).map((request) =>
    Uint8Array.from(prometheus.WriteRequest.encode(request).finish()),
  )
}
