import assert from 'node:assert/strict'
import protobuf from 'protobufjs'
import { createEncoder } from '../src/encode.ts'
import { WRITE_REQUEST_PROTO } from '../src/schema.ts'
import type { Entry } from '../src/series.ts'

const WriteRequest = protobuf.parse(WRITE_REQUEST_PROTO).root.lookupType('prometheus.WriteRequest')

/** @throws AssertionError unless our bytes say the same as the peer's. */
export function sameContent(entries: readonly Entry[], peer: Uint8Array): void {
  const ours = createEncoder('1.0', { validation: 'normalise' }).encode(entries)
  assert.deepEqual(content(ours), content(peer))
}

/** Order of labels is ours to choose: `__name__` sorts before lower-case names only. */
function content(body: Uint8Array): unknown {
  return WriteRequest.toObject(WriteRequest.decode(body), { longs: Number, defaults: true })
}
