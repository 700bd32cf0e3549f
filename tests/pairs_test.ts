/**
 * Every runtime as client against every runtime as server, two processes a pair: they agree on what goes over the wire and
 * on how a connection ends. `tests/pairs` has the programs. Two of one runtime meet in one process, and in two only where
 * nothing may be left out.
 *
 * @module
 */

import { assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HandshakeError, type TcpEndpoint } from "@veltix/core";
import { meetInOne, meetInTwo } from "./pairs/meet.ts";
import { clientOf, PROTECTIONS, serverOf } from "./pairs/protection.ts";

/** Those without WebSockets. */
const BARE = PROTECTIONS.filter((protection) => !/\bwss?$/.test(protection));

describe("a client and a server", () => {
  meetInOne(BARE);

  it("that may speak one suite only, and not the same one, do not come together", async () => {
    await using server = serverOf("noise chacha", { hostname: "127.0.0.1", port: 0 });
    const rejected = new Promise<string>((resolve) => server.on("rejected", ({ error }) => resolve(String(error))));
    await server.start();
    await using client = clientOf("noise aes", { ...server.addresses[0] as TcpEndpoint });
    await assertRejects(() => client.connect(), HandshakeError);
    assertStringIncludes(await rejected, "no common cipher suite");
  });

  meetInTwo(BARE, "plain", false);
});
