import { assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { bunTransport } from "../src/adapters/bun.ts";
import { ConfigError } from "../src/errors.ts";
import { conformance } from "./conformance.ts";

if ("Bun" in globalThis) {
  conformance("bun", bunTransport, {
    network: true,
    bufferSize: false,
    program: { url: new URL("../src/adapters/bun.ts", import.meta.url).href, factory: "bunTransport" },
  });
} else {
  it("bunTransport() says that this runtime is not Bun", () => {
    const error = assertThrows(() => bunTransport(), ConfigError, "Cannot make the Bun transport: this runtime is ");
    if (error.code !== "unsupported") throw error;
  });
}
