/** A value as a message shows it: texts and numbers cut short, of anything else its type. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : value.toISOString()
  if (typeof value === 'string') return `'${short(value)}'`
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? `${value}`
    : typeof value
}

/** What should be a name, as a message shows it. */
export function label(name: unknown): string {
  return typeof name === 'string' ? short(name) : typeof name
}

/** A name as a message shows it. */
export function short(name: string): string {
  return name.length > 80 ? `${name.slice(0, 77)}...` : name
}
