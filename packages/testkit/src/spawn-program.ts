import { spawn } from 'node:child_process'
import { Writable } from 'node:stream'

import { started, type NodeChild } from './spawn-node.ts'

// The shell becomes the program, so signals and the exit are the program's own. The watcher beside it waits for the end of
// descriptor 3, a pipe that the kernel closes however the parent ends, SIGKILL included, and then kills the program. A line
// on the pipe says that the program has ended first: its process id may belong to another by then.
const SCRIPT = '( read -r ended <&3 || kill -9 $$ ) </dev/null >/dev/null 2>&1 & exec "$@" 3<&-'
const LIFELINE_FD = 3

/**
 * Starts a program that is not Node, with an empty standard input. It is killed when the caller ends, however that ends; on
 * disposal it is stopped.
 *
 * @throws Error when the shell or the program cannot be started
 */
export async function spawnProgram(file: string, args: readonly string[], cwd: string): Promise<NodeChild> {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', file, ...args], {
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
