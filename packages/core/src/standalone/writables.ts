import { Writable } from 'node:stream'
import { WritableStream } from 'node:stream/web'
import { callbackify } from 'node:util'
import type { Sink } from '../sink/spi.ts'
import { openSink, type OpenSinkOptions } from './open-sink.ts'

/**
 * A sink as a `Writable` in object mode. `finish` comes after the store has confirmed all that was written; a failure destroys it with
 * its error. Destroying it gives up what is not stored.
 *
 * @throws SluiceError as {@link openSink}.
 * @example
 * ```ts
 * await pipeline(createReadStream('hosts.ndjson'), split(JSON.parse), toWritable(sink))
 * ```
 */
export function toWritable<T>(sink: Sink<T>, options: OpenSinkOptions = {}): Writable {
  const opened = openSink(sink, options)
  const writable = new Writable({
    objectMode: true,
    write(value: T, _encoding, callback) {
      const full = opened.write(value)
      if (full === undefined) callback()
      else callbackify(() => full)(callback)
    },
    final: callbackify(() => opened.close()),
    destroy(error, callback) {
      callbackify(() => opened.abort())(() => callback(error))
    },
  })
  opened.done.catch((error: Error) => writable.destroy(error))
  return writable
}

/**
 * A sink as a web `WritableStream`. `close()` resolves after the store has confirmed all that was written; a failure errors it.
 * `abort()` gives up what is not stored.
 *
 * @throws SluiceError as {@link openSink}.
 * @example
 * ```ts
 * await response.body.pipeThrough(parseLines()).pipeTo(toWritableStream(sink))
 * ```
 */
export function toWritableStream<T>(sink: Sink<T>, options: OpenSinkOptions = {}): WritableStream<T> {
  const opened = openSink(sink, options)
  return new WritableStream<T>({
    start(controller) {
      opened.done.catch((error: unknown) => controller.error(error))
    },
    write: (value) => opened.write(value),
    close: () => opened.close(),
    abort: () => opened.abort(),
  })
}
