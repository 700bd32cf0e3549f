/** The example of tracing, as a user starts it. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { outputOf } from "./processes/output.ts";

describe("examples/tracing", () => {
  it("prints each order as a tree over three services", async () => {
    const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
    const child = spawn(process.execPath, [...flags, "examples/tracing/main.ts"], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { code, text } = await outputOf(child);
    const lines = text.trimEnd().split(/\r?\n/).map((line) => line.replace(/^ *\d+\.\d ms {2}/, ""));
    assertEquals([code, lines], [0, [
      "order 1: order 1 is packed",
      'shop: internal "buy 3 of apple"',
      '  shop: client "order"',
      '    orders: server "order"',
      '      orders: client "reserve"',
      '        store: server "reserve"',
      '      orders: client "packing"',
      '        store: server "packing"',
      '      orders: producer "send news"',
      '        shop: consumer "process news"',
      "no order: There is no pear",
      'shop: internal "buy 3 of pear"',
      '  shop: client "order" FAILED: sold-out',
      '    orders: server "order" FAILED: sold-out',
      '      orders: client "reserve" FAILED: sold-out',
      '        store: server "reserve" FAILED: sold-out',
    ]], text);
  });
});
