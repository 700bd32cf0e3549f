/**
 * Checks the version of the runtime when the package is imported. A runtime that is too old gets a clear error instead
 * of a failure somewhere inside. The tests run on the newest runtimes. `deno task oldest` runs a client and a server on
 * the oldest.
 *
 * @module
 */

/** The oldest supported version of each runtime. */
export const OLDEST: Readonly<Record<"Deno" | "Bun" | "Node", string>> = {
  Deno: "2.3.7",
  Bun: "1.2.23",
  Node: "22.12.0",
};

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
export function checkRuntime({ Bun, Deno, process }: Globals): void {
  const [name, version] = Deno?.version !== undefined
    ? ["Deno", Deno.version.deno] as const
    : Bun !== undefined
    ? ["Bun", Bun.version] as const
    : ["Node", process?.versions?.node] as const;
  if (version === undefined || !isOlder(version, OLDEST[name])) return;
  throw new Error(
    `@veltix/core needs ${name} ${OLDEST[name]} or later, and this is ${name} ${version}: install a newer one`,
  );
}

function isOlder(version: string, oldest: string): boolean {
  const [ours, least] = [version, oldest].map((text) => text.split(".").map((part) => parseInt(part, 10)));
  for (let i = 0; i < least.length; i++) if (ours[i] !== least[i]) return ours[i] < least[i];
  return false;
}

checkRuntime(globalThis as Globals);
