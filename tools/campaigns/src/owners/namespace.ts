import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { RunContext } from '../campaign.ts'
import { fileLogEnv } from '../pipelines/file-log-process.ts'
import type { FileLogUnderTest } from '../pipelines/file-log-servers.ts'

/** Whether this machine lets us make pid namespaces. */
export function hasNamespaces(): boolean {
  try {
    execFileSync('unshare', ['--pid', '--fork', '--kill-child', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A process of the subject that is the first of a pid namespace, as in a container. */
export class NamespaceProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>

  constructor(context: RunContext, pipeline: FileLogUnderTest, process: number) {
    const entry = fileURLToPath(pipeline.subject.entry)
    const env = fileLogEnv(context, { ...pipeline.subject.settings, process })
    const args = ['--pid', '--fork', '--kill-child', globalThis.process.execPath, entry]
    this.#child = spawn('unshare', args, { env, stdio: 'ignore' })
    this.#exit = once(this.#child, 'close')
  }

  /** Kills it as a container is killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}
