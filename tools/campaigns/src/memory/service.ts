import { WriteGate } from '../write-gate.ts'
import { MemoryGroup } from './group.ts'
import { MemoryLog } from './log.ts'
import { MemoryQueue } from './queue.ts'
import { type Handlers, MemoryServer, type Reply, type RequestFault } from './server.ts'
import { MemoryStore } from './store.ts'

const SPLITS = 3
const VISIBILITY_TIMEOUT_MS = 30_000
const WRITE_DELAY_MS = 15
const ACKNOWLEDGEMENT_DELAY_MS = 4

/** Sources of three shapes and a store, in the campaign's process: no subject outlives it, and it outlives every subject. */
export class MemoryService implements AsyncDisposable {
  readonly writes: WriteGate = new WriteGate(() => true, WRITE_DELAY_MS)
  readonly acknowledgements: WriteGate = new WriteGate(() => true, ACKNOWLEDGEMENT_DELAY_MS)
  readonly log: MemoryLog = new MemoryLog(SPLITS)
  readonly group: MemoryGroup = new MemoryGroup(this.log.splits.keys())
  readonly queue: MemoryQueue = new MemoryQueue(VISIBILITY_TIMEOUT_MS)
  readonly store: MemoryStore = new MemoryStore(this.writes)
  /** What becomes of requests before they are looked at. */
  fault: RequestFault = () => undefined
  readonly #server: MemoryServer

  private constructor() {
    this.#server = new MemoryServer(this.#handlers(), (path) => this.fault(path))
  }

  static async start(): Promise<MemoryService> {
    const service = new MemoryService()
    await service.#server.listen()
    return service
  }

  get endpoint(): string {
    return this.#server.endpoint
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }

  #handlers(): Handlers {
    const { log, group, queue, store } = this
    return {
      '/log/splits': () => ({ answer: { splits: [...log.splits.keys()] } }),
      '/log/fetch': (request) => ({ answer: { records: log.fetch(request) } }),
      '/queue/receive': ({ max }) => ({ answer: { messages: queue.receive(max) } }),
      '/queue/delete': ({ receipts }) =>
        this.#acknowledge(() => {
          queue.delete(receipts)
          return true
        }),
      '/queue/return': ({ receipts }) => {
        queue.giveBack(receipts)
        return { answer: {} }
      },
      '/group/poll': (request) => ({ answer: group.poll(request) }),
      '/group/commit': (request) => this.#acknowledge(() => group.commit(request)),
      '/group/leave': ({ memberId }) => {
        group.leave(memberId)
        return { answer: {} }
      },
      '/store/write': ({ records }, sender) => store.write(records, sender),
    }
  }

  async #acknowledge(apply: () => boolean): Promise<Reply<'/queue/delete'>> {
    if (!(await this.acknowledgements.beforeApply())) return 'cut'
    const taken = apply()
    if (!(await this.acknowledgements.beforeAnswer())) return 'cut'
    return taken ? { answer: {} } : { status: FENCED }
  }
}

const FENCED = 409
