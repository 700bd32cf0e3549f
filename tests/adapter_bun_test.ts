import { assertEquals, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { bunTransport } from "../src/adapters/bun.ts";
import { ConfigError } from "../src/errors.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import { conformance } from "./conformance.ts";

const { Bun } = globalThis as { Bun?: unknown };
if (Bun !== undefined) {
  conformance("bun", bunTransport, {
    network: true,
    bufferSize: false,
    program: { url: new URL("../src/adapters/bun.ts", import.meta.url).href, factory: "bunTransport" },
  });

  // Bun remembers for 30 s where a name led to, in a cache that it counts.
  it("bunTransport() looks a name up anew for each connect()", async () => {
    const { dns } = Bun as { dns: { getCacheStats(): Record<string, number> } };
    const transport = bunTransport();
    await using listener = await transport.listen({ hostname: "localhost", port: 0 });
    const { port } = listener.address as TcpEndpoint;
    const before = dns.getCacheStats();
    for (let i = 0; i < 3; i++) (await transport.connect({ hostname: "localhost", port })).abort();
    assertEquals(dns.getCacheStats(), before);
  });
} else {
  it("bunTransport() says that this runtime is not Bun", () => {
    const error = assertThrows(() => bunTransport(), ConfigError, "Cannot make the Bun transport: this runtime is ");
    if (error.code !== "unsupported") throw error;
  });
}
