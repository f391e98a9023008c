import type { OpenStand } from './stand.ts'
import type { SinkAbilities } from './subject.ts'

/** One rule that every sink keeps to. */
export interface SinkCase {
  readonly name: string
  /** The promises that it belongs to, by their numbers in the architecture. */
  readonly promises: readonly number[]
  /** Abilities without which it cannot be tried, with the values that will do. */
  readonly needs?: { readonly [Name in keyof SinkAbilities]?: readonly SinkAbilities[Name][] }
  run(open: OpenStand): Promise<void>
}
