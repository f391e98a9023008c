import type { GeneratedRecord } from '../campaign.ts'

/** What a subject says to the memory service: JSON by POST, a path for each kind of request. */
export interface Requests {
  '/log/splits': { readonly request: object; readonly answer: { readonly splits: readonly string[] } }
  '/log/fetch': { readonly request: FetchRequest; readonly answer: { readonly records: readonly GeneratedRecord[] } }
  '/queue/receive': {
    readonly request: { readonly max: number }
    readonly answer: { readonly messages: readonly Message[] }
  }
  '/queue/delete': { readonly request: Receipts; readonly answer: object }
  '/queue/return': { readonly request: Receipts; readonly answer: object }
  '/group/poll': { readonly request: PollRequest; readonly answer: PollAnswer }
  '/group/commit': { readonly request: CommitRequest; readonly answer: object }
  '/group/leave': { readonly request: { readonly memberId: string }; readonly answer: object }
  '/store/write': { readonly request: { readonly records: readonly GeneratedRecord[] }; readonly answer: object }
}

export type Path = keyof Requests

export interface FetchRequest {
  readonly splitId: string
  /** Index in the split's log. */
  readonly from: number
  readonly max: number
}

/** A message that is invisible to others until its receipt is deleted, returned, or too old. */
export interface Message {
  readonly receipt: string
  readonly sequenceNumber: string
  readonly record: GeneratedRecord
}

export interface Receipts {
  readonly receipts: readonly string[]
}

/** A member's sign of life. */
export interface PollRequest {
  readonly memberId: string
  /** Splits that it has; one that is missing here was given up. */
  readonly owned: readonly string[]
  /** Splits that it has just given back. */
  readonly released: readonly string[]
}

export interface PollAnswer {
  readonly generation: number
  readonly assign: readonly { readonly splitId: string; readonly next: number }[]
  /** To be given back, cooperatively. */
  readonly revoke: readonly string[]
  /** Not the member's any more. */
  readonly lost: readonly string[]
}

export interface CommitRequest {
  readonly memberId: string
  readonly generation: number
  readonly splitId: string
  /** Records before this index need not be read again. */
  readonly next: number
}

/** Bytes of one body, in either direction. */
export const MAX_BODY_BYTES: number = 4 * 1024 * 1024
