/**
 * The ping monitor, as a user starts it on this runtime.
 *
 * @module
 */

import { Server } from "@veltix/core";
import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Target } from "../examples/ping_monitor/target.ts";
import { Program } from "./examples_support.ts";
import { describeOnPosix } from "./posix.ts";

/** Starts a server; returns it with its address as the monitor takes it. */
async function serve(): Promise<{ server: Server; name: string }> {
  const server = new Server({ hostname: "127.0.0.1", port: 0 });
  await server.start();
  const [address] = server.addresses;
  return { server, name: `127.0.0.1:${"port" in address ? address.port : 0}` };
}

describeOnPosix("examples/ping_monitor", () => {
  it("tells a server that answers from one that is not there", async () => {
    const { server, name } = await serve();
    await using _ = server;
    // Port 9 of this address is nobody's: the system gives ports from 1,024 on.
    await using program = new Program("ping_monitor/main.ts", name, "127.0.0.1:9", "--count", "4", "--interval", "250");
    assertEquals(await program.end(), 1);
    const [head, up, away, ...rest] = program.text.trimEnd().split("\n");
    assertMatch(head, /^server +loss +p50 +p95 +p99 {2}the last 20 pings$/);
    assertMatch(up, /^127\.0\.0\.1:\d+ +up +\d+\.0 %( +[\d.]+ (ms|µs)){3} {2}[▁▂▃▄▅▆▇█×]{4}$/);
    assertMatch(away, /^127\.0\.0\.1:9 +away +100 %( +–){3} {2}×{4}$/);
    assertEquals(rest, []);
  });

  it("shows four servers of its own until Ctrl+C", async () => {
    await using program = new Program("ping_monitor/main.ts", "--interval", "50");
    await program.find(/Ctrl\+C ends it\n/);
    program.interrupt();
    await program.find(/near .*\n *far .*\n *wireless .*\n *shaky .*\n$/);
    await program.end();
  });

  it("refuses what is no address", async () => {
    await using program = new Program("ping_monitor/main.ts", "example.org");
    assertEquals(await program.end(), 1);
    assertMatch(program.text, /Cannot watch "example\.org": it is no HOST:PORT and no URL/);
  });

  it("counts percentiles of the pings that were answered", () => {
    const target = new Target("x", { port: 1 });
    assertEquals(target.percentile(0.5), undefined);
    target.pings.push(undefined, ...Array.from({ length: 100 }, (_, i) => 100 - i), undefined);
    assertEquals([0, 0.5, 0.95, 0.99, 1].map((part) => target.percentile(part)), [1, 50, 95, 99, 100]);
  });
});
