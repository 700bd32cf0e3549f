/**
 * The smallest server and client, as a user starts them on this runtime.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { INTERRUPTED, Program } from "./examples_support.ts";
import { describeOnPosix } from "./posix.ts";

describeOnPosix("examples/echo", () => {
  it("brings a text back, and ends at Ctrl+C", async () => {
    await using server = new Program("echo/server.ts", "0");
    const [, port] = await server.find(/Listening at port (\d+)/);

    await using client = new Program("echo/client.ts", "Żółw, 乌龟, 🐢", port);
    assertEquals([await client.end(), client.text], [0, "Żółw, 乌龟, 🐢\n"]);

    server.interrupt();
    assertEquals([await server.end(), server.text.endsWith("\nClosed\n")], [INTERRUPTED, true]);
  });
});
