import type { DeadLetter, DeadLetters, DeliveryContext } from '../../src/index.ts'
import { InMemorySink } from '../../src/testing.ts'

/** Dead letters in memory that behave as a test says. They outlive every job and attempt. */
export class Letters implements DeadLetters {
  /** Confirmed, in order, repeats included. */
  readonly stored: DeadLetter[] = []
  /** Every try. */
  readonly tries: { readonly letter: DeadLetter; readonly context: DeliveryContext }[] = []
  hastened = 0
  opened = 0
  closed = 0
  /** A rejection is a failed try. */
  onDeliver: (letter: DeadLetter, context: DeliveryContext) => Promise<void> | void = () => {}

  async deliver(given: DeadLetter, context: DeliveryContext): Promise<void> {
    this.tries.push({ letter: given, context })
    await this.onDeliver(given, context)
    this.stored.push(given)
  }

  hasten(): void {
    this.hastened++
  }

  open(): Promise<void> {
    this.opened++
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }

  get positions(): (string | null)[] {
    return this.stored.map(({ origin }) => origin.position)
  }

  get ids(): string[] {
    return this.stored.map(({ id }) => id)
  }
}

export function letter(given: Partial<DeadLetter> = {}): DeadLetter {
  return {
    v: 1,
    id: '0123456789abcdef0123456789abcdef',
    job: 'hosts',
    sink: 'timestream',
    stage: 'store',
    reason: { code: 'RejectedRecord', message: 'the timestamp is too old' },
    origin: { source: 'kinesis', split: 'shard-0', position: '42', key: 'host-1' },
    raw: Buffer.from('{"host":"host-1"}').toString('base64'),
    attempts: 1,
    firstFailedAt: '2026-01-01T00:00:00.000Z',
    ...given,
  }
}

export function content(of: DeadLetter): string {
  return Buffer.from(of.raw ?? '', 'base64').toString('utf8')
}

/** A store's outcome for one entry that it refuses for itself. */
export const refuse = (
  code: string,
  message = 'no',
): { readonly kind: 'refuse'; readonly reason: { code: string; message: string } } => ({
  kind: 'refuse',
  reason: { code, message },
})

/** A store that refuses these values for themselves. */
export function refusing<T>(bad: (value: T) => boolean, uid = 'memory'): InMemorySink<T> {
  return new InMemorySink<T>({
    uid,
    onSubmit: ({ entries }) => ({
      entries: entries.map((entry) => (bad(entry) ? refuse('outOfRange', 'too old') : { kind: 'written' })),
    }),
  })
}
