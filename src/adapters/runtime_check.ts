/**
 * Checks the version of the runtime when the package is imported. A runtime that is too old gets a clear error instead
 * of a failure somewhere inside. The tests run on the newest runtimes. `deno task oldest` runs programs on the oldest,
 * and imports the package on older ones.
 *
 * @module
 */

/** The runtimes that have a version. */
export type Versions = Readonly<Record<"Deno" | "Bun" | "Node", string>>;

/** The oldest supported version of each runtime. */
export const OLDEST: Versions = { Deno: "2.8.0", Bun: "1.4.1", Node: "22.12.0" };

/**
 * The oldest version of each runtime whose TLS is supported. Before 2.9.6, Deno resumes the session of an earlier connection
 * without asking whether `ca` and `pin` of this one trust the server. Before 1.4.3, Bun loses bytes around the end of a
 * direction, and before 1.4.4 it cannot use keys of some kinds.
 */
export const OLDEST_WITH_TLS: Versions = { Deno: "2.9.6", Bun: "1.4.4", Node: "22.12.0" };

/** The part of the global scope that contains the versions. */
export interface Globals {
  readonly Deno?: { readonly version?: { readonly deno: string } };
  readonly Bun?: { readonly version: string };
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/**
 * Checks the version of the runtime. An unknown runtime, such as a browser, passes.
 *
 * @throws {Error} The runtime is too old.
 */
export function checkRuntime(globals: Globals): void {
  const problem = problemOf("@veltix/core", OLDEST, globals);
  if (problem !== undefined) throw new Error(problem);
}

/** Returns why the runtime is too old for TLS; `undefined` if it is not. */
export function tlsProblem(globals: Globals = globalThis as Globals): string | undefined {
  return problemOf("tls", OLDEST_WITH_TLS, globals);
}

function problemOf(what: string, needed: Versions, { Bun, Deno, process }: Globals): string | undefined {
  const [name, version] = Deno?.version !== undefined
    ? ["Deno", Deno.version.deno] as const
    : Bun !== undefined
    ? ["Bun", Bun.version] as const
    : ["Node", process?.versions?.node] as const;
  if (version === undefined || !isOlder(version, needed[name])) return undefined;
  return `${what} needs ${name} ${needed[name]} or later, and this is ${name} ${version}: install a newer one`;
}

function isOlder(version: string, oldest: string): boolean {
  const [ours, least] = [version, oldest].map((text) => text.split(".").map((part) => parseInt(part, 10)));
  for (let i = 0; i < least.length; i++) if (ours[i] !== least[i]) return ours[i] < least[i];
  return false;
}

checkRuntime(globalThis as Globals);
