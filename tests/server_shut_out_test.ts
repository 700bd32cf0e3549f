/** A server that shuts a client out: its words arrive, and a client that is told so stays away. */

import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type DisconnectState, messageType, text } from "../mod.ts";
import type { FakeClock } from "../src/adapters/memory.ts";
import { face, memoryWorld, Raw, Recorder, serve, SPOKEN, until } from "./session_support.ts";

const NOTE = messageType(200, "note", text);

/** A server and a client that reconnects. */
// deno-lint-ignore explicit-function-return-type
async function make() {
  const world = memoryWorld();
  const served = await serve(world);
  const client = new Client({
    ...served.address,
    transport: world.transport,
    reconnect: { delay: 100, jitter: false },
  });
  const heard = new Recorder(client, ["connect", "disconnect"]);
  await client.connect();
  await until(() => served.server.clients.length === 1);
  return {
    ...served,
    client,
    heard,
    clock: world.clock as FakeClock,
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await served.server.close({ drain: 0 });
    },
  };
}

describe("client.close() of a server's client", () => {
  it("with words reaches the client as refusal, and final keeps it away", async () => {
    for (const drain of [5_000, 0]) {
      await using made = await make();
      const [peer] = made.server.clients;
      const words = { code: "banned", message: "Not before \u001b[2J Tuesday", retryAfter: 5_000, final: true };
      void peer.close("manual", { ...words, drain });
      const [state] = await made.heard.next("disconnect") as [DisconnectState];
      assertEquals(state.refusal, {
        code: "banned",
        message: "Not before ?[2J Tuesday",
        retryAfter: 5_000,
        final: true,
      });
      assertEquals([state.reason, state.permanent, state.nextDelay], ["going-away", true, undefined]);
      await made.client.closed;
      await made.clock.advance(60_000);
      assertEquals([made.client.state, made.server.clients.length, made.heard.of("connect").length], [
        "disconnected",
        0,
        1,
      ]);
      // Who asks for it may come back.
      await made.client.connect();
      assertEquals(made.server.clients.length, 1);
    }
  });

  it("without final lets it come back, when the server said", async () => {
    await using made = await make();
    void made.server.clients[0].close("manual", { message: "A pause", retryAfter: 5_000 });
    const [state] = await made.heard.next("disconnect") as [DisconnectState];
    assertEquals([state.refusal, state.permanent, state.nextDelay], [
      { code: "manual", message: "A pause", retryAfter: 5_000, final: false },
      false,
      5_100,
    ]);
    await made.clock.advance(6_000);
    assertEquals(made.client.state, "connected");
  });

  it("for unauthorized is final by itself, and for other reasons says nothing", async () => {
    for (const reason of ["unauthorized", "rate-limited"] as const) {
      await using made = await make();
      void made.server.clients[0].close(reason);
      const [state] = await made.heard.next("disconnect") as [DisconnectState];
      const final = reason === "unauthorized";
      assertEquals([state.permanent, state.refusal?.code, "refusal" in state], [
        final,
        final ? "unauthorized" : undefined,
        final,
      ]);
    }
  });

  it("refuses words that are none", async () => {
    await using made = await make();
    const [peer] = made.server.clients;
    assertThrows(() => peer.close("manual", { message: "" }), TypeError, "message");
    assertThrows(() => peer.close("manual", { code: 7 as never }), TypeError, "code");
    assertThrows(() => peer.close("manual", { final: 1 as never }), TypeError, "final must be a boolean, not 1");
    assertThrows(() => peer.close("manual", { finally: true } as never), TypeError, 'Unknown option "finally"');
    assertEquals(peer.connected, true);
  });

  it("with words just ends the connection of a peer that knows none", async () => {
    for (const { release, server: spoken } of SPOKEN) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: spoken });
      await using raw = await Raw.connect(world, served.address, release);
      await until(() => served.server.clients.length === 1);
      const closing = served.server.clients[0].close("unauthorized", { message: "no", drain: 0 });
      await raw.end().catch(() => {});
      await closing;
      assertEquals(served.events.of("disconnect")[0][1].reason, "unauthorized");
    }
  });
});

describe("a client whose server says GOAWAY", () => {
  it("takes nothing but sound words for a refusal", async () => {
    for (
      const [content, refusal] of [
        ["{}", undefined],
        ['{"code":"x"}', undefined],
        ['{"final":1,"message":7}', undefined],
        ["no JSON", undefined],
        ["7", undefined],
        ['{"final":true}', { code: "no reason given", message: "no reason given", retryAfter: undefined, final: true }],
        [`{"message":"${"x".repeat(300)}"}`, {
          code: "no reason given",
          message: "x".repeat(200),
          retryAfter: undefined,
          final: false,
        }],
      ] as const
    ) {
      await using met = await face(memoryWorld(), "native", { features: { goaway: {} } });
      await met.raw.send({ code: 4, content });
      await met.raw.end();
      const [state] = await met.events.next("disconnect") as [DisconnectState];
      assertEquals([state.reason, state.refusal], ["going-away", refusal], content);
      assertThrows(() => met.client.send(NOTE, "x"));
    }
  });
});
