import type { KitCase } from './kit.ts'
import type { OpenStand } from './stand.ts'
import type { SinkAbilities } from './subject.ts'

/** One rule that every sink keeps to. */
export type SinkCase = KitCase<SinkAbilities, OpenStand>
