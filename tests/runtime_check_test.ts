import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkRuntime, type Globals, OLDEST } from "../src/adapters/runtime_check.ts";

describe("the check of the runtime", () => {
  const on = (name: keyof typeof OLDEST, version: string): Globals => {
    const process = { versions: { node: name === "Node" ? version : "18.0.0" } };
    return name === "Deno"
      ? { process, Deno: { version: { deno: version } } }
      : name === "Bun"
      ? { process, Bun: { version } }
      : { process };
  };

  for (const name of ["Deno", "Bun", "Node"] as const) {
    it(`names ${name}, its version and the oldest that will do`, () => {
      const [major, minor, patch] = OLDEST[name].split(".").map(Number);
      const older = [
        `${major - 1}.99.99`,
        `${major}.${minor - 1}.99`,
        ...patch > 0 ? [`${major}.${minor}.${patch - 1}`] : [],
      ];
      for (const version of older) {
        const error = assertThrows(() => checkRuntime(on(name, version)), Error);
        assertEquals(
          error.message,
          `@veltix/core needs ${name} ${OLDEST[name]} or later, and this is ${name} ${version}: install a newer one`,
        );
      }
      const newer = [
        OLDEST[name],
        `${major}.${minor + 1}.0`,
        `${major + 1}.0.0`,
        `${major}.${minor}.${patch + 1}-canary.1`,
      ];
      for (const version of newer) checkRuntime(on(name, version));
    });
  }

  it("takes an unknown runtime as it is", () => {
    checkRuntime({});
    checkRuntime({ process: {} });
  });
});
