/** What the loopback preload reports to the parent about one TCP listener. */
export interface ListenReport {
  /** The port that the program asked for. */
  readonly requested: number
  /** The port that was bound. */
  readonly port?: number
  /** The system's error code when it could not be bound. */
  readonly failed?: string
}

/** Whether a message of a child is a {@link ListenReport}. */
export function isListenReport(message: unknown): message is ListenReport {
  return typeof message === 'object' && message !== null && 'requested' in message
}
