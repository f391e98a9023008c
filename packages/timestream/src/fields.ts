/**
 * A field by its name; a name with dots that the value does not have itself is a path: `host.name`.
 *
 * Getters and what stands on the value's prototype are fields too; what every object has, such as `constructor`, is none.
 */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (hasField(value, name)) return Reflect.get(value, name)
  if (!name.includes('.')) return undefined
  let inner: unknown = value
  for (const part of name.split('.')) {
    if (typeof inner !== 'object' || inner === null || !hasField(inner, part)) return undefined
    inner = Reflect.get(inner, part)
  }
  return inner
}

function hasField(value: object, name: string): boolean {
  return Object.hasOwn(value, name) || (name in value && !(name in Object.prototype))
}
