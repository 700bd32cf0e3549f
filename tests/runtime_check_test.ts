import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
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

  it("asks for no other versions than the README does", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8").replaceAll(/\s+/g, " ");
    const [, deno, bun, node] = /works from Deno (\S+), Bun (\S+) and Node (\S+) on/.exec(readme)!;
    assertEquals({ Deno: deno, Bun: bun, Node: `${node}.0` }, OLDEST);
  });

  it("takes an unknown runtime as it is", () => {
    checkRuntime({});
    checkRuntime({ process: {} });
  });
});
