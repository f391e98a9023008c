import { run } from '../run.ts'
import type { Check } from './check.ts'

/** A check that is one program: it passes when the program does, and shows its output when it does not. */
export function commandCheck(name: string, root: string, command: string, ...args: readonly string[]): Check {
  return {
    name,
    async problems() {
      // Some programs colour their output whenever they see CI.
      const env = { NO_COLOR: '1', FORCE_COLOR: undefined, CI: undefined }
      const { code, output } = await run(command, args, { cwd: root, env })
      return code === 0 ? [] : [output.trim() || `${command} ended with ${code}`]
    },
  }
}
