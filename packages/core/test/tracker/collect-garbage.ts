import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')

/** A full collection, for tests that show that something was let go. */
export const collectGarbage = runInNewContext('gc') as () => void
