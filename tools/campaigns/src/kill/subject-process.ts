import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type NodeChild, type NodeExit, spawnNode } from '@sluice/testkit'
import type { PipelineUnderTest } from '../campaign.ts'
import { decodeFigures, type Figures } from '../figures.ts'
import { FIGURES_VARIABLE, KILL_VARIABLE, SABOTAGE_VARIABLE, SETTINGS_VARIABLE } from '../subject/settings.ts'

export interface SubjectOptions {
  readonly folder: string
  /** Names the files of this process: 1, 2, 3, ... */
  readonly number: number
  readonly sabotage: string | undefined
  /** As in `checkpoint:settled@3`. */
  readonly killAt: string | undefined
  /** Beside, and instead of, those of the pipeline. */
  readonly settings?: object
  /** Beside, and instead of, the variables that every subject gets. */
  readonly env?: Readonly<Record<string, string>>
  /** Of Node itself. */
  readonly execArgv?: readonly string[]
}

/** One process of the subject. */
export class SubjectProcess implements AsyncDisposable {
  readonly startedAt: number = performance.now()
  readonly #child: NodeChild
  readonly #figuresPath: string
  readonly #logPath: string
  #killed = false
  #exit: NodeExit | undefined

  private constructor(child: NodeChild, figuresPath: string, logPath: string) {
    this.#child = child
    this.#figuresPath = figuresPath
    this.#logPath = logPath
    void child.exit.then((exit) => {
      this.#exit = exit
      appendFileSync(logPath, [...child.stdout, ...child.stderr, ''].join('\n'))
      return exit
    })
  }

  static async start(pipeline: PipelineUnderTest, options: SubjectOptions): Promise<SubjectProcess> {
    const { folder, number, sabotage, killAt } = options
    const { entry, settings } = pipeline.subject
    const figuresPath = join(folder, `figures-${number}.json`)
    writeFileSync(figuresPath, '')
    const env = {
      // Nothing of the developer's AWS configuration may reach a subject, nor may it look for a role.
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'))),
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: join(folder, 'no-aws-config'),
      AWS_SHARED_CREDENTIALS_FILE: join(folder, 'no-aws-credentials'),
      NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
      [SETTINGS_VARIABLE]: JSON.stringify({ ...settings, ...options.settings }),
      [FIGURES_VARIABLE]: figuresPath,
      ...(sabotage === undefined ? {} : { [SABOTAGE_VARIABLE]: sabotage }),
      ...(killAt === undefined ? {} : { [KILL_VARIABLE]: killAt }),
      ...options.env,
    }
    const child = await spawnNode(entry, [], { env, execArgv: options.execArgv ?? [] })
    return new SubjectProcess(child, figuresPath, join(folder, `subject-${number}.log`))
  }

  /** Undefined until the first figures are written, and while a write is under way. */
  figures(): Figures | undefined {
    return decodeFigures(readFileSync(this.#figuresPath))
  }

  /** How it ended; undefined while it runs. */
  get ended(): NodeExit | undefined {
    return this.#exit
  }

  get exit(): Promise<NodeExit> {
    return this.#child.exit
  }

  kill(): void {
    if (this.#exit !== undefined) return
    this.#killed = true
    this.#child.kill('SIGKILL')
  }

  /** Sends SIGTERM: the subject drains, and closes at the second. */
  terminate(): void {
    if (this.#exit === undefined) this.#child.kill('SIGTERM')
  }

  /** True when its end was ours: killed from here, or by itself at a failpoint. */
  get died(): boolean {
    return this.#exit?.signal === 'SIGKILL' && (this.#killed || this.figures()?.diedAt !== '')
  }

  /** @throws Error with its last output when it ended in a way that nobody planned. */
  assertNotCrashed(): void {
    if (this.#exit === undefined || this.died) return
    const { code, signal } = this.#exit
    const output = [...this.#child.stdout, ...this.#child.stderr].slice(-10).join('\n')
    throw new Error(`the subject ended by itself (${signal ?? `code ${code}`}), see ${this.#logPath}:\n${output}`)
  }

  /** SIGTERM: the subject drains. */
  stop(deadlineMs: number): Promise<NodeExit> {
    return this.#child.stop(deadlineMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill()
    await this.#child.exit
  }
}
