/**
 * Finds modules of the runtime without importing them, so that a bundle for browsers names none.
 *
 * @module
 */

interface Runtime {
  getBuiltinModule?(id: string): unknown;
}

/** Returns a module of the runtime, such as `"node:crypto"`; `undefined` where there is none, as in browsers. */
export function builtinModule(id: string): unknown {
  return (globalThis as { process?: Runtime }).process?.getBuiltinModule?.(id);
}
