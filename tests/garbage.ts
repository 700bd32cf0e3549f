/** Collects garbage on request, on every runtime. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects everything that nothing holds any more. */
export function collectGarbage(): void {
  const { Bun } = globalThis as { readonly Bun?: { gc(synchronous: boolean): void } };
  if (Bun !== undefined) return Bun.gc(true);
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
