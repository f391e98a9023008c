import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { debianLibrary } from '@sluice/testkit'

/** A wall clock of a process that jumps on command; its monotonic clock goes on. */
export class FakeTime {
  /** For the process whose clock it is. */
  readonly env: Readonly<Record<string, string>>
  readonly #path: string
  #offsetS = 0

  private constructor(library: string, path: string) {
    this.#path = path
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: path,
      // Looked at again with every call: a jump comes at once.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
    this.#write()
  }

  /** @returns why there is none, in words, where libfaketime is not to be had. */
  static async find(folder: string): Promise<FakeTime | string> {
    const found = await debianLibrary('libfaketime', 'libfaketimeMT.so.1')
    return 'path' in found ? new FakeTime(found.path, join(folder, 'faketime')) : found.missing
  }

  /** What the wall clock of the process says, a little more or less. */
  get wallMs(): number {
    return Date.now() + this.#offsetS * 1000
  }

  /** Seconds; they add up. */
  jump(bySeconds: number): void {
    this.#offsetS += bySeconds
    this.#write()
  }

  #write(): void {
    writeFileSync(this.#path, `${this.#offsetS < 0 ? '' : '+'}${this.#offsetS}s\n`)
  }
}
