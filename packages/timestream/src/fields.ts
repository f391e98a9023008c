/** A field by its name; a name with dots that the value does not have itself is a path: `host.name`. */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (Object.hasOwn(value, name)) return Reflect.get(value, name)
  if (!name.includes('.')) return undefined
  let inner: unknown = value
  for (const part of name.split('.')) {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, part)) return undefined
    inner = Reflect.get(inner, part)
  }
  return inner
}
