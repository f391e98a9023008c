import { spawn } from 'node:child_process'
import { Writable } from 'node:stream'

import { started, type NodeChild } from './spawn-node.ts'

// The shell becomes the program, so signals and the exit are the program's own. The watcher beside it waits for the end of
// descriptor 3, a pipe that the kernel closes however the parent ends, SIGKILL included, and then kills the program. A line
// on the pipe says that the program has ended first: its process id may belong to another by then.
const WATCHER = '( read -r ended <&3 || { kill -9 $$; [ -z "$1" ] || rm -rf -- "$1"; } ) </dev/null >/dev/null 2>&1 &'
const SCRIPT = `${WATCHER} shift; exec "$@" 3<&-`
const LIFELINE_FD = 3

/** How {@link spawnProgram} starts a program. */
export interface SpawnProgramOptions {
  readonly cwd: string
  /** A folder that goes when the caller ends without stopping the program. @default none */
  readonly leftover?: string | undefined
}

/**
 * Starts a program that is not Node, with an empty standard input. It is killed when the caller ends, however that ends; on
 * disposal it is stopped.
 *
 * @throws Error when the shell cannot be started; a program that cannot be is an exit with code 126 or 127
 */
export async function spawnProgram(
  file: string,
  args: readonly string[],
  { cwd, leftover = '' }: SpawnProgramOptions,
): Promise<NodeChild> {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', leftover, file, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  })
  const lifeline = child.stdio[LIFELINE_FD]
  if (lifeline instanceof Writable) {
    lifeline.on('error', () => {})
    child.once('exit', () => lifeline.end('ended\n'))
  }
  return started(child, file)
}
