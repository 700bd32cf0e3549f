import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fuzz } from "./fuzz/fuzz.ts";
import { RUNTIME_INDEX } from "./wire_support.ts";

describe("20,000 random inputs, a third of them on each runtime,", () => {
  it("break neither the decoder nor a handshake", () => {
    const failure = fuzz(1, 6_667 * RUNTIME_INDEX, 6_667);
    if (failure !== undefined) throw failure.error;
    assertEquals(failure, undefined);
  });
});
