import { Dispatcher } from 'undici'

/** What the receiver says to one request; an error is thrown by the client. */
export type FakeAnswer =
  | { readonly status: number; readonly text?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly error: Error }

export interface FakeRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** A receiver in memory behind the client's own interface: it needs no time, so that a test can make time itself. */
export class FakeDispatcher extends Dispatcher {
  readonly #receive: (request: FakeRequest) => Promise<FakeAnswer>

  constructor(receive: (request: FakeRequest) => Promise<FakeAnswer>) {
    super()
    this.#receive = receive
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    let ended = false
    const end = (how: () => void): void => {
      if (ended) return
      ended = true
      how()
    }
    const controller: Dispatcher.DispatchController = {
      aborted: false,
      paused: false,
      reason: null,
      abort: (reason) => end(() => handler.onResponseError?.(controller, reason)),
      pause: () => undefined,
      resume: () => undefined,
    }
    handler.onRequestStart?.(controller, {})
    // What is sent must stay as it is until the answer, so it is read now and compared then.
    const body = Buffer.from(options.body as Uint8Array)
    const headers = { ...(options.headers as Record<string, string>) }
    const answered = (answer: FakeAnswer): void =>
      end(() => {
        const changed = !body.equals(options.body as Uint8Array)
        const given: FakeAnswer = changed ? { error: new Error('the body was changed under way') } : answer
        if ('error' in given) return handler.onResponseError?.(controller, given.error)
        handler.onResponseStart?.(controller, given.status, { ...given.headers }, '')
        if (given.text !== undefined) handler.onResponseData?.(controller, Buffer.from(given.text))
        return handler.onResponseEnd?.(controller, {})
      })
    this.#receive({ headers, body }).then(answered, (error: Error) => answered({ error }))
    return true
  }
}
