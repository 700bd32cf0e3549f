import { assert, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { loadTransport } from "../src/auto/load_transport.ts";

describe("loadTransport()", () => {
  it("gives the same sockets to all who ask, also to those who ask at once before there are any", async () => {
    const [first, second] = await Promise.all([loadTransport("auto"), loadTransport("auto")]);
    assertStrictEquals(first, second);
    const later = loadTransport("auto");
    assert(!(later instanceof Promise), "it is there by now");
    assertStrictEquals(later, first);
  });
});
