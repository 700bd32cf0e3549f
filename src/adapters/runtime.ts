/**
 * Finds the API of a runtime, and names the actual runtime if it is another one.
 *
 * @module
 */

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
