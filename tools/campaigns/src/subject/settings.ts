/** Tells a subject where its servers are: JSON of the pipeline's settings. */
export const SETTINGS_VARIABLE = 'SLUICE_CAMPAIGN_SUBJECT'
/** Where a subject writes its figures. */
export const FIGURES_VARIABLE = 'SLUICE_CAMPAIGN_FIGURES'
/** `checkpoint:settled@3`: the subject kills itself at the third hit of this failpoint; with `=SIGTERM` behind it, it asks itself to end. */
export const KILL_VARIABLE = 'SLUICE_CAMPAIGN_KILL'
/** Where a subject notes what it holds, if it is to. */
export const VITALS_VARIABLE = 'SLUICE_CAMPAIGN_VITALS'
/** Name of the defect that the subject switches on. */
export const SABOTAGE_VARIABLE = 'SLUICE_CAMPAIGN_SABOTAGE'

/** @throws Error when the variable is not set: a subject is started by a campaign. */
export function requireVariable(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set; subjects are started by npm run campaign`)
  return value
}

export function parseKill(text: string): {
  readonly failpoint: string
  readonly nth: number
  readonly signal: 'SIGKILL' | 'SIGTERM'
} {
  const match = /^([a-z:-]+)@([1-9]\d{0,5})(=SIGTERM)?$/.exec(text)
  if (match === null) throw new Error(`${KILL_VARIABLE} must be like checkpoint:settled@3, got '${text}'`)
  return { failpoint: match[1] ?? '', nth: Number(match[2]), signal: match[3] === undefined ? 'SIGKILL' : 'SIGTERM' }
}
