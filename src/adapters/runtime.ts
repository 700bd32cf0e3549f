/**
 * Finds the API of a runtime, and says what is missing where it is another one.
 *
 * @module
 */

import { builtinModule } from "../base/builtin_module.ts";
import { ConfigError } from "../errors.ts";

/** The name of a runtime's global API. */
export type RuntimeName = "Bun" | "Deno";

/**
 * Returns the global API of a runtime.
 *
 * @param name The name of the global.
 * @throws {ConfigError} `unsupported`: this is another runtime.
 */
export function runtimeApi<Api>(name: RuntimeName): Api {
  const globals = globalThis as { Bun?: unknown; Deno?: unknown; process?: { release?: { name?: string } } };
  const api = globals[name];
  if (api !== undefined) return api as Api;
  const here = globals.Bun
    ? "Bun"
    : globals.Deno
    ? "Deno"
    : globals.process?.release?.name === "node"
    ? "Node"
    : "unknown";
  throw new ConfigError("unsupported", `Cannot make the ${name} transport: this runtime is ${here}, not ${name}`);
}

/**
 * Checks that the runtime has a module of Node, as Deno and Bun have. A browser has none. Adapters look their modules up
 * when they are loaded, and call this before they use one.
 *
 * @param id The module, such as `"node:net"`.
 * @param failure The start of the message: what cannot be done without it.
 * @param advice The end of the message: what to do in place of it.
 * @throws {ConfigError} `unsupported`: there is no such module.
 */
export function checkBuiltin(id: string, failure: string, advice: string): void {
  if (builtinModule(id) !== undefined) return;
  throw new ConfigError(
    "unsupported",
    `${failure}: this runtime, such as a browser, has no ${id} as Node, Deno and Bun have: ${advice}`,
  );
}
