import type { KitCase } from '../conformance/kit.ts'
import type { OpenStand } from './stand.ts'
import type { SourceAbilities } from './subject.ts'

/** One rule that every source keeps to. */
export type SourceCase = KitCase<SourceAbilities, OpenStand>
