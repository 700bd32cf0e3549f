/**
 * The examples of one file each, as a user starts them on this runtime.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Program } from "./examples_support.ts";

describe("examples/request", () => {
  it("answers an order that fits, and says what is wrong with the other", async () => {
    await using program = new Program("request/main.ts");
    await program.find(/^2 cakes: 7\.60 EUR\n-1 teas: .*Expected >=1 but received -1.*\n$/);
    assertEquals(await program.end(), 0);
  });
});

describe("examples/backpressure", () => {
  it("sends all at the pace of the receiver, with little memory", async () => {
    await using program = new Program("backpressure/main.ts");
    await program.find(/^10000 of 10000 messages arrived, 39\.0625 MiB\n/);
    const [, waits, most] = await program.find(/waited (\d+) times; at most ([\d.]+) MiB were in its memory\n$/);
    assert(Number(waits) > 0 && Number(most) < 2, program.text);
    assertEquals(await program.end(), 0);
  });
});
