import { registerHooks } from 'node:module'

// Preloaded: the package is not installed.
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== '@aws-sdk/client-s3') return next(specifier, context)
    throw Object.assign(new Error(`Cannot find package '${specifier}' imported from ${context.parentURL}`), {
      code: 'ERR_MODULE_NOT_FOUND',
    })
  },
})
