/**
 * The script that every worker thread starts with. It imports the module and connects its {@linkcode workerHandler} to
 * the program.
 *
 * The script is a string and not a file. A file would have to be found, and its reading allowed, wherever a bundler or
 * a registry puts the package.
 *
 * @module
 */

/**
 * The key of the symbol under which a worker handler keeps the function that serves the program. All copies of this
 * package share it.
 */
export const SERVE = "@veltix/core/serve-1";

/**
 * The source of the script. `parentPort` and `workerData` are in its scope. `workerData` is `{ module, serve }`: the
 * URL of the module, and {@linkcode SERVE}.
 */
export const BOOTSTRAP = `
const text = (value) => typeof value === "string" ? value : undefined;
import(workerData.module).then((module) => {
  const handler = module.default;
  const serve = handler?.[Symbol.for(workerData.serve)];
  if (typeof serve === "function") serve(parentPort);
  else parentPort.postMessage({ kind: "unusable", exported: handler === undefined ? "nothing" : "something else" });
}).catch((error) => {
  const { name, message, code, stack } = error ?? {};
  parentPort.postMessage({ kind: "broken", error: {
    name: text(name) ?? "Error", message: text(message) ?? String(error), code: text(code), stack: text(stack),
  } });
});
`;
