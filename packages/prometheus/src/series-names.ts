import { type IdHash, SeriesIndex } from './series-index.ts'
import { SeriesLayout, type SeriesRules } from './series-layout.ts'

/** Counts the nodes of trees. */
export interface NodeCount {
  nodes: number
}

/** One name after others: a path of nodes is a list of label names, in the order in which somebody gives them. */
export class NameNode {
  /** Of the path that ends here, once it was met. */
  layout: SeriesLayout | undefined
  /** The series that were given with this path. */
  index: SeriesIndex | undefined
  readonly path: readonly string[]
  readonly hasName: boolean
  #children: Map<string, NameNode> | undefined
  /** The child that was asked for last: streams repeat themselves. */
  #lastName = ''
  #last: NameNode | undefined
  readonly #count: NodeCount

  constructor(hasName: boolean, path: readonly string[], count: NodeCount) {
    this.hasName = hasName
    this.path = path
    this.#count = count
    count.nodes++
  }

  next(name: string): NameNode {
    if (name === this.#lastName && this.#last !== undefined) return this.#last
    return this.#other(name)
  }

  *[Symbol.iterator](): Generator<NameNode> {
    yield this
    for (const child of this.#children?.values() ?? []) yield* child
  }

  #other(name: string): NameNode {
    this.#children ??= new Map()
    let child = this.#children.get(name)
    if (child === undefined) {
      child = new NameNode(this.hasName, [...this.path, name], this.#count)
      this.#children.set(name, child)
    }
    this.#lastName = name
    this.#last = child
    return child
  }
}

/** Fills in what a node at the end of a path has. */
export function settle(
  node: NameNode,
  rules: SeriesRules,
  hash: IdHash,
): { readonly layout: SeriesLayout; readonly index: SeriesIndex } {
  node.layout ??= new SeriesLayout(node.hasName, node.path, rules)
  node.index ??= new SeriesIndex(hash)
  return { layout: node.layout, index: node.index }
}
