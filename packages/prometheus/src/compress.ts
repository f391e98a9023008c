import { snappyCompressor } from 'hysnappy'
import snappyjs from 'snappyjs'

/** Compresses bodies to the snappy block format. Its result is the caller's. */
export type Compressor = (body: Uint8Array) => Uint8Array

/** Bodies beyond it are rare; an instance that compressed one keeps its memory, so it is given up. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024

/**
 * A compressor that is used again for each request: WebAssembly, or JavaScript where there is none (`node --jitless`).
 *
 * See https://github.com/google/snappy/blob/main/format_description.txt
 */
export function createCompressor(): Compressor {
  return wasmCompressor() ?? jsCompressor
}

/** Undefined where there is no WebAssembly. */
export function wasmCompressor(load: () => Compressor = snappyCompressor): Compressor | undefined {
  let compress: Compressor
  try {
    compress = load()
  } catch {
    return undefined
  }
  return (body) => {
    if (body.byteLength === 0) return Uint8Array.of(0)
    const compressed = compress(body)
    if (body.byteLength > MAX_KEPT_BYTES) compress = load()
    return compressed
  }
}

export const jsCompressor: Compressor = (body) => {
  // Of a Buffer, snappyjs would make a Buffer that is cut from a larger one.
  return snappyjs.compress(new Uint8Array(body.buffer, body.byteOffset, body.byteLength))
}
