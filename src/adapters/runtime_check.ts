/**
 * Says so when the runtime is too old, as soon as the package is imported, in place of an error from somewhere inside. The tests
 * run on the newest runtimes, and `deno task oldest` has a client and a server talk on the oldest.
 *
 * @module
 */

/** The oldest runtimes that it works on, by the name of their version in `process.versions`. */
export const OLDEST: Readonly<Record<"Deno" | "Bun" | "Node", string>> = {
  Deno: "2.3.7",
  Bun: "1.2.23",
  Node: "22.12.0",
};

/** What the versions are read from. */
export interface Globals {
  readonly Deno?: { readonly version?: { readonly deno: string } };
  readonly Bun?: { readonly version: string };
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/**
 * Checks the runtime; one that nobody knows, such as a browser, is taken as it is.
 *
 * @throws {Error} It is too old.
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
