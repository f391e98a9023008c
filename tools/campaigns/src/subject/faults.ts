import { setFailpoint } from '@sluice/core/testing'
import type { Figures } from '../figures.ts'
import type { Observer } from './observer.ts'
import { KILL_VARIABLE, parseKill, SABOTAGE_VARIABLE } from './settings.ts'

/** After this the next hit counts whatever is in hand: a kill that finds nothing is reported as such, it does not stay away. */
const PATIENCE_MS = 3_000

/** Whether a hit of the failpoint tells anything: there is something that could be lost. */
const WORTHWHILE: Readonly<Record<string, (figures: Figures) => boolean>> = {
  'source:fetched': ({ fetched, emitted, unsettled }) => fetched > emitted && unsettled > 0,
  'checkpoint:settled': ({ repeatable, unsettled }) => unsettled > 0 && repeatable > unsettled,
  'checkpoint:stored': ({ repeatable, unsettled }) => unsettled > 0 && repeatable > unsettled,
}

/** Arms the failpoints that the environment asks for. */
export function armFaults(observer: () => Observer | undefined): void {
  const sabotage = process.env[SABOTAGE_VARIABLE]
  if (sabotage !== undefined) setFailpoint(`sabotage:${sabotage}`, () => true)
  const kill = process.env[KILL_VARIABLE]
  if (kill === undefined) return
  const { failpoint, nth, signal } = parseKill(kill)
  const worthwhile = WORTHWHILE[failpoint] ?? ((): boolean => true)
  let hits = 0
  let struck = false
  let firstHitAt: number | undefined
  setFailpoint(failpoint, () => {
    const writer = observer()
    if (writer === undefined || struck) return
    firstHitAt ??= performance.now()
    const patient = performance.now() - firstHitAt < PATIENCE_MS
    if (patient && !worthwhile(writer.write(0))) return
    hits++
    if (patient && hits < nth) return
    struck = true
    writer.write(0, failpoint)
    process.kill(process.pid, signal)
  })
}
