/**
 * The script that a worker thread begins with: it imports the module and lets its {@linkcode workerHandler} serve. A text and
 * no file: a file beside this one would have to be found, and allowed, wherever a bundler or a registry puts the package.
 *
 * @module
 */

/** Where a worker handler keeps what serves the program; shared by all copies of this package. */
export const SERVE = "@veltix/core/serve-1";

/**
 * The script. It finds `parentPort`, and `workerData`, which is `{ module, serve }`: the URL of the module, and
 * {@linkcode SERVE}.
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
