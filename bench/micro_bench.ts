/**
 * `deno bench`: single functions of the library beside what the same work costs without it. `deno task bench:micro` measures
 * the same on all three runtimes, `deno task bench` whole programs.
 *
 * @module
 */

import { microCases } from "./micro/cases.ts";

const made = await microCases();
globalThis.addEventListener("unload", () => void made[Symbol.asyncDispose]());

for (const { name, group, baseline, calls, run } of made.cases) {
  Deno.bench({
    name: calls === 1 ? name : `${name}, ${calls} times`,
    group,
    baseline,
    async fn(): Promise<void> {
      const result = run();
      if (result instanceof Promise) await result;
    },
  });
}
