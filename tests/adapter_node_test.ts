import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import process from "node:process";
import { nodeTransport } from "../src/adapters/node.ts";
import { conformance } from "./conformance.ts";

conformance("node", nodeTransport, {
  network: true,
  bufferSize: false,
  program: { url: new URL("../src/adapters/node.ts", import.meta.url).href, factory: "nodeTransport" },
});

describe("node: a chunk that is given back", () => {
  it("is freed at once on Node if it is large, and none that is kept is touched", async () => {
    const transport = nodeTransport();
    await using listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
    const client = await transport.connect(listener.address);
    const { value: peer } = await listener[Symbol.asyncIterator]().next();
    const sent = Uint8Array.from({ length: 2 ** 20 }, (_, i) => i * 31 >>> 5);
    const written = client.write(sent);
    const kept: Uint8Array[] = [];
    const sizes: number[] = [];
    let freed = 0;
    for (let at = 0; at < sent.length;) {
      const chunk: Uint8Array = await peer.read();
      const { length } = chunk;
      assertEquals(chunk, sent.subarray(at, at += length));
      sizes.push(length);
      if (sizes.length % 2 === 0) kept.push(chunk);
      else {
        peer.recycle?.(chunk);
        if (chunk.length === 0) freed++;
      }
    }
    await written;
    const odd = sizes.filter((_, i) => i % 2 === 0);
    const ours = process.versions.deno === undefined && process.versions.bun === undefined;
    if (ours) assert(freed > 0 && freed <= odd.filter((size) => size >= 16_384).length, `${freed} were freed`);
    else assertEquals(freed, 0);
    assertEquals(kept.map(({ length }) => length), sizes.filter((_, i) => i % 2 === 1));
    client.abort();
    peer.abort();
  });
});
