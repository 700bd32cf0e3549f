import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fuzz } from "./fuzz/fuzz.ts";
import { rounds, RUNTIME_INDEX } from "./wire_support.ts";

describe("thousands of random inputs, others on each runtime,", () => {
  it("break neither the decoder nor a handshake", () => {
    const failure = fuzz(1, 6_667 * RUNTIME_INDEX, rounds(6_667));
    if (failure !== undefined) throw failure.error;
    assertEquals(failure, undefined);
  });
});
