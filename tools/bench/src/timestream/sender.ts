import type { Measures } from './shapes.ts'

export const DATABASE = 'bench'
export const TABLE = 'records'

export const AWS = {
  region: 'eu-west-1',
  credentials: { accessKeyId: 'AKIDBENCH', secretAccessKey: 'bench' },
} as const

export interface SenderOptions {
  readonly measures: Measures
  readonly inFlight: number
  readonly url: string
}

export type Decode = (batch: Buffer) => readonly never[]

/** One variant at work. */
export interface Sender {
  /** Outside the clock. What it gives runs under it: until each row is confirmed. @param batches - encoded. */
  prepare(batches: readonly Buffer[]): () => Promise<void>
  close(): Promise<void>
}

/** Keeps so many calls under way, each for the next item. */
export async function atOnce<T>(list: readonly T[], inFlight: number, send: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < list.length) await send(list[next++] as T)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
}
