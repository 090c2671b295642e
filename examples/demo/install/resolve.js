import { registerHooks } from 'node:module'

// The demo runs the library from its sources. Packages that either of them imports are looked for in this folder,
// which is not above them, so that the toolbox of the repository need not be installed.
registerHooks({
  resolve(specifier, context, nextResolve) {
    const isPackage = !/^(?:[./]|node:|file:)/.test(specifier)
    const isOurs = !context.parentURL?.includes('/node_modules/')
    return nextResolve(specifier, isPackage && isOurs ? { ...context, parentURL: import.meta.url } : context)
  },
})
