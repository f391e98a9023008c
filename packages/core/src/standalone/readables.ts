import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { callbackify } from 'node:util'
import type { Source, SourceSplit } from '../source/spi.ts'
import { type Message, messages } from './messages.ts'
import type { MessagesOptions } from './options.ts'

/**
 * A source as a `Readable` in object mode. What comes out are messages: whoever is at the end of the pipeline acknowledges each, as
 * nobody before it can know that it was dealt with. At most one is read ahead. After the end of the source messages may still
 * be acknowledged; destroying the stream with an error, or before its end, gives them back.
 *
 * @throws SluiceError as {@link messages}.
 * @example
 * ```ts
 * await pipeline(toReadable(source), async function (incoming) {
 *   for await (const message of incoming) {
 *     await handle(message.value)
 *     message.ack()
 *   }
 * })
 * ```
 */
export function toReadable<T, Split extends SourceSplit, State>(
  source: Source<T, Split, State>,
  options: MessagesOptions = {},
): Readable {
  const read = messages(source, options)
  const readable = new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      read.next().then(
        ({ done, value }) => readable.push(done === true ? null : value),
        (error: Error) => readable.destroy(error),
      )
    },
    destroy(error, callback) {
      // The end of the stream is not the end of the messages. That of the source is not the end of the stream: what it still holds
      // nobody takes out any more.
      const isRead = error === null && readable.readableEnded
      const end = callbackify(async () => void (isRead ? await read.return() : await read.close()))
      end((reason) => callback(error ?? reason))
    },
  })
  return readable
}

/**
 * A source as a web `ReadableStream` of messages; as {@link toReadable}, and nothing is read ahead.
 *
 * @throws SluiceError as {@link messages}.
 */
export function toReadableStream<T, Split extends SourceSplit, State>(
  source: Source<T, Split, State>,
  options: MessagesOptions = {},
): ReadableStream<Message<T>> {
  const read = messages(source, options)
  return new ReadableStream<Message<T>>(
    {
      async pull(controller) {
        const { done, value } = await read.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      cancel: () => read.close(),
    },
    { highWaterMark: 0 },
  )
}
