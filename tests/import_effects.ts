/**
 * A program: imports what its arguments name and prints, as JSON, what that changed outside of the modules. Importing a
 * library must change nothing.
 *
 * @module
 */

import process from "node:process";

/** What importing could change: the own properties of the global objects, and who listens to the process. */
function survey(): Map<string, unknown> {
  const seen = new Map<string, unknown>();
  const places: Record<string, object> = { globalThis };
  for (
    const name of ["Object", "Array", "Promise", "Uint8Array", "Map", "Set", "Error", "Symbol", "console"] as const
  ) {
    const value = globalThis[name] as { prototype?: object };
    places[name] = value;
    if (value.prototype !== undefined) places[`${name}.prototype`] = value.prototype;
  }
  for (const [place, object] of Object.entries(places)) {
    for (const key of Reflect.ownKeys(object)) {
      // A runtime's own globals may come to life when they are used: only what is a plain value is compared.
      const { value } = Reflect.getOwnPropertyDescriptor(object, key) ?? {};
      seen.set(`${place}.${String(key)}`, typeof value === "function" ? value : typeof value);
    }
  }
  for (const event of process.eventNames()) seen.set(`process on ${String(event)}`, process.listenerCount(event));
  return seen;
}

// What the runtimes do to their own globals when something is used for the first time is none of our doing.
const { getBuiltinModule } = globalThis.process ?? process;
for (const name of ["node:net", "node:fs", "node:path", "node:zlib", "node:crypto"]) {
  getBuiltinModule.call(process, name);
}
await import("data:text/javascript,");
survey();

const before = survey();
for (const specifier of process.argv.slice(2)) await import(specifier);
const after = survey();

const changes = [...new Set([...before.keys(), ...after.keys()])].filter((name) => {
  const [was, is] = [before.get(name), after.get(name)];
  return before.has(name) !== after.has(name) || typeof was === "function" && typeof is === "function" && was !== is ||
    typeof was === "number" && was !== is;
});
console.log(JSON.stringify(changes));
