import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fuzz } from "./fuzz/fuzz.ts";

describe("20,000 random inputs", () => {
  it("break neither the decoder nor a handshake", () => {
    const failure = fuzz(1, 0, 20_000);
    if (failure !== undefined) throw failure.error;
    assertEquals(failure, undefined);
  });
});
