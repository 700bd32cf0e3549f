import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import { checkRuntime, type Globals, OLDEST, OLDEST_WITH_TLS, tlsProblem } from "../src/adapters/runtime_check.ts";

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

  for (const name of ["Deno", "Bun", "Node"] as const) {
    it(`names the oldest ${name} whose TLS will do, where it is a newer one`, () => {
      for (const version of [OLDEST[name], OLDEST_WITH_TLS[name]]) {
        const needed = OLDEST_WITH_TLS[name];
        const expected = version === needed
          ? undefined
          : `tls needs ${name} ${needed} or later, and this is ${name} ${version}: install a newer one`;
        assertEquals(tlsProblem(on(name, version)), expected);
      }
    });
  }

  it("asks for no other versions than README.md and docs/install.md do", () => {
    for (const page of ["README.md", "docs/install.md"]) {
      const text = readFileSync(new URL(`../${page}`, import.meta.url), "utf8").replaceAll(/\s+/g, " ");
      const [, deno, bun, node] = /works from Deno (\S+), Bun (\S+) and Node (\S+) on/.exec(text)!;
      assertEquals({ Deno: deno, Bun: bun, Node: `${node}.0` }, OLDEST);
      const [, denoTls, bunTls] = /TLS needs Deno (\S+) or Bun (\d\S*\d)\b/.exec(text)!;
      assertEquals({ Deno: denoTls, Bun: bunTls, Node: OLDEST.Node }, OLDEST_WITH_TLS);
    }
  });

  it("asks for no other versions than the docs of mod.ts do", () => {
    const text = readFileSync(new URL("../mod.ts", import.meta.url), "utf8");
    const [, deno, bun, node] = /\*\*Versions\*\*: Deno (\S+), Bun (\S+), Node (\S+) and later/.exec(text)!;
    assertEquals({ Deno: deno, Bun: bun, Node: `${node}.0` }, OLDEST);
  });

  it("takes an unknown runtime as it is", () => {
    checkRuntime({});
    checkRuntime({ process: {} });
  });
});
