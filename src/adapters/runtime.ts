/**
 * Which runtime this is, for the message of an adapter that is asked for on another one.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";

/** The runtime's API of that name. */
export type RuntimeName = "Bun" | "Deno";

/**
 * The global of a runtime.
 *
 * @param name The global's name.
 * @throws {ConfigError} `unsupported`, when this is another runtime.
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
