/**
 * One session over many connections: what is sent arrives once and in order, wherever the connections are cut.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Routes } from "../src/app/routes.ts";
import { BackpressureError, bytes, json, messageType, ProtocolError } from "../mod.ts";
import { connectionPair } from "../src/adapters/memory.ts";
import { Channel } from "../src/link/channel.ts";
import { Conversation, cutAfter } from "./resume_support.ts";
import { Random } from "./wire_support.ts";

const UP = messageType(200, "up", json<{ n: number; pad: string }>());
const DOWN = messageType(201, "down", json<{ n: number; pad: string }>());
const ASK = messageType(202, "ask", json<number>(), json<number>());

/** Counts what one end receives, and checks that it comes once and in order. */
class Serials {
  next = 0;
  readonly wrong: string[] = [];
  take(n: number): void {
    if (n !== this.next) this.wrong.push(`${n} in place of ${this.next}`);
    this.next = n + 1;
  }
}

/** A conversation whose two ends count what they get. */
function conversation(options: ConstructorParameters<typeof Conversation>[0] = {}): {
  talk: Conversation;
  up: Serials;
  down: Serials;
} {
  const up = new Serials();
  const down = new Serials();
  const server = new Routes();
  server.add(UP, ({ data }: { data: { n: number } }) => up.take(data.n));
  server.add(ASK, ({ data }: { data: number }) => data * 2);
  const client = new Routes();
  client.add(DOWN, ({ data }: { data: { n: number } }) => down.take(data.n));
  client.add(ASK, ({ data }: { data: number }) => data * 3);
  return { talk: new Conversation({ ...options, client, server }), up, down };
}

const BYTES = messageType(203, "bytes", bytes);

/** Faults under which nothing that one side sends arrives. */
function drops(lost: "client" | "server"): (info: { readonly side: string }) => { dropAfter: number } | undefined {
  return ({ side }) => side === lost ? { dropAfter: 0 } : undefined;
}

/** Resolves when `done` holds, looking after each turn of the event loop. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 0));
}

describe("a session with resumption", () => {
  it("goes on over another connection where nothing was lost", async () => {
    const { talk, up, down } = conversation();
    await using _ = talk;
    const { client, server } = talk;
    for (let n = 0; n < 10; n++) client.peer.send(UP, { n, pad: "" });
    await until(() => up.next === 10);
    talk.cut();
    assertEquals([client.suspensions, server.suspensions], [["network-error"], ["replaced"]]);
    for (let n = 10; n < 20; n++) client.peer.send(UP, { n, pad: "" });
    for (let n = 0; n < 20; n++) server.peer.send(DOWN, { n, pad: "" });
    const asked = client.peer.request(ASK, 21, {});
    talk.resume();
    assertEquals(await asked, 42);
    await until(() => up.next === 20 && down.next === 20);
    assertEquals([up.wrong, down.wrong, client.errors, server.errors], [[], [], [], []]);
  });

  for (const how of ["reset", "close", "drop"] as const) {
    it(`loses nothing and repeats nothing over many cuts (${how})`, async () => {
      for (let seed = 1; seed <= (how === "drop" ? 6 : 15); seed++) {
        const random = new Random(seed);
        const faults = (): { faults: () => ReturnType<typeof cutAfter> } => ({
          faults: () => ({ ...cutAfter(random.below(3_000), how), split: { seed, max: 700 } }),
        });
        const { talk, up, down } = conversation({ buffer: 65_536, first: faults() });
        await using _ = talk;
        const { client, server } = talk;
        const answers: Promise<number>[] = [];
        let settled = 0;
        const ask = (from: Conversation["client"]): void => {
          const answer = from.peer.request(ASK, sent, { timeout: 60_000 });
          answers.push(answer.finally(() => settled++));
        };
        let sent = 0;
        const most = 400;
        const pump = (): void => {
          for (let i = 0; i < 10 && sent < most; i++, sent++) {
            const pad = "x".repeat(random.below(200));
            client.peer.send(UP, { n: sent, pad });
            server.peer.send(DOWN, { n: sent, pad });
            if (sent % 10 === 0) {
              ask(client);
              ask(server);
            }
          }
        };
        let cuts = 0;
        for (let calm = 0; up.next < most || down.next < most || settled < answers.length; calm++) {
          pump();
          await new Promise((resolve) => setTimeout(resolve, 0));
          const away = client.peer.session.resumption!.suspended || server.peer.session.resumption!.suspended;
          if (!away && calm < 5) continue;
          calm = 0;
          cuts++;
          talk.cut();
          talk.resume(cuts < 60 ? faults() : {});
        }
        assertEquals([up.wrong, down.wrong, client.errors, server.errors], [[], [], [], []], `seed ${seed}`);
        const got = await Promise.all(answers);
        got.forEach((value, i) => assertEquals(value, Math.floor(i / 2) * 10 * (i % 2 === 0 ? 2 : 3), `seed ${seed}`));
        assert(cuts > 5, `${cuts} cuts`);
        assertEquals([client.over, server.over], [undefined, undefined]);
      }
    });
  }

  it("does the same wherever a short conversation is cut, after each byte of each direction", async () => {
    for (const side of ["client", "server"] as const) {
      for (let bytes = 0; bytes < 400; bytes++) {
        const faults = (info: { readonly side: string }): ReturnType<typeof cutAfter> | undefined =>
          info.side === side ? cutAfter(bytes, "reset") : undefined;
        const { talk, up, down } = conversation({ first: { faults } });
        await using _ = talk;
        const { client, server } = talk;
        for (let n = 0; n < 3; n++) {
          client.peer.send(UP, { n, pad: "" });
          server.peer.send(DOWN, { n, pad: "" });
        }
        const asked = [client.peer.request(ASK, 1, {}), server.peer.request(ASK, 1, {})];
        await until(() => client.suspensions.length > 0 || up.next === 3 && down.next === 3);
        talk.cut();
        talk.resume();
        assertEquals(await Promise.all(asked), [2, 3], `${side} ${bytes}`);
        assertEquals([up.next, down.next, up.wrong, down.wrong], [3, 3, [], []], `${side} ${bytes}`);
        assertEquals([client.errors, server.errors, client.over, server.over], [[], [], undefined, undefined]);
      }
    }
  });

  it("lets two large messages meet, although each is many times what is kept", async () => {
    const size = 2_000_000;
    const got: number[] = [];
    const server = new Routes();
    server.add(BYTES, ({ data }: { data: Uint8Array }) => void got.push(data.length));
    const client = new Routes();
    client.add(BYTES, ({ data }: { data: Uint8Array }) => void got.push(data.length));
    await using talk = new Conversation({ buffer: 65_536, client, server });
    for (let i = 0; i < 3; i++) {
      talk.client.peer.send(BYTES, new Uint8Array(size));
      talk.server.peer.send(BYTES, new Uint8Array(size));
    }
    await until(() => got.length === 6);
    assertEquals(got, Array(6).fill(size));
  });

  it("begins nothing new while too much is not acknowledged", async () => {
    const { talk, up } = conversation({ buffer: 65_536, first: { faults: drops("server") } });
    await using _ = talk;
    const { client } = talk;
    const pad = "x".repeat(1_000);
    for (let n = 0; n < 200; n++) client.peer.send(UP, { n, pad });
    await until(() => up.next > 60);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { acknowledged, written } = client.peer.session.resumption!;
    assertEquals(acknowledged, 0);
    assert(written >= 65_536 && written < 65_536 + 1_100, `${written}`);
    // Answers to the peer's requests begin no more, but control frames do.
    assert(client.peer.session.sender.writer.blocked);
    talk.cut();
    talk.resume();
    await until(() => up.next === 200);
    assertEquals(up.wrong, []);
  });

  it("takes as much as is kept while there is no connection, and then says so", async () => {
    const { talk, up } = conversation({ buffer: 65_536 });
    await using _ = talk;
    const { client } = talk;
    talk.cut();
    const pad = "x".repeat(1_000);
    let n = 0;
    let heeded = -1;
    const error = assertThrows(() => {
      for (;; n++) if (!client.peer.send(UP, { n, pad }) && heeded < 0) heeded = n;
    }, BackpressureError);
    assertEquals(error.code, "buffer-full");
    assert(n > 60 && n <= 64, `${n}`);
    assert(heeded > 0 && heeded < n - 20, `${heeded}`);
    let ready = false;
    void client.peer.ready().then(() => ready = true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(ready, false);
    talk.resume();
    await until(() => up.next === n && ready);
    assertEquals(up.wrong, []);
  });

  it("takes one message of any size while it says that more may be sent", async () => {
    const got: number[] = [];
    const server = new Routes();
    server.add(BYTES, ({ data }: { data: Uint8Array }) => void got.push(data.length));
    await using talk = new Conversation({ buffer: 65_536, server });
    const { peer } = talk.client;
    talk.cut();
    assertEquals(peer.send(BYTES, new Uint8Array(300_000)), false);
    assertThrows(() => peer.send(BYTES, new Uint8Array(1)), BackpressureError);
    let ready = false;
    const asked = peer.ready().then(() => ready = true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(ready, false);
    talk.resume();
    await asked;
    await until(() => got.length === 1);
    assertEquals(got, [300_000]);
  });

  it("takes nothing where all that may be kept is kept already", async () => {
    const { talk, up } = conversation({ buffer: 65_536, first: { faults: drops("server") } });
    await using _ = talk;
    const { peer } = talk.client;
    let n = 0;
    for (; n < 100; n++) peer.send(UP, { n, pad: "x".repeat(1_000) });
    await until(() => peer.session.sender.writer.blocked && up.next > 60);
    talk.cut();
    const { session: { sender: { writer } } } = peer;
    assert(writer.kept!.size >= 65_536);
    assertEquals([writer.takesMore, writer.full], [false, true]);
    assertThrows(() => peer.send(UP, { n, pad: "" }), BackpressureError);
    talk.resume();
    await until(() => up.next === n);
    assertEquals(peer.send(UP, { n, pad: "" }), true);
  });

  it("is over if the peer acknowledges what was not written, or says it has received what it cannot", async () => {
    for (const received of [-1, 25, 1e9]) {
      const { talk } = conversation();
      await using _ = talk;
      talk.cut();
      const { session } = talk.client.peer;
      assertEquals([session.resumption!.written, session.resumable(received)], [24, false]);
      const [up] = connectionPair();
      assertThrows(() => session.resume(new Channel(up), received), ProtocolError, `has received ${received} bytes`);
      assertEquals(talk.client.over?.reason, "protocol-error");
    }
  });

  it("counts as delivered what the peer has, and as uncertain what was written after that", async () => {
    const { talk, up } = conversation({
      first: { faults: ({ side }) => side === "client" ? { dropAfter: 2_000 } : undefined },
    });
    await using _ = talk;
    const { client } = talk;
    client.peer.session.sender.startTracking();
    for (let n = 0; n < 300; n++) client.peer.send(UP, { n, pad: "" });
    await until(() => up.next > 40);
    talk.cut();
    client.peer.session.lose("network-error", new Error("lost"));
    const { delivered, uncertain, lost } = client.peer.deliveries!;
    assertEquals(delivered + uncertain + lost, 300);
    assert(delivered <= up.next && up.next <= delivered + uncertain, `${delivered} ${up.next} ${uncertain} ${lost}`);
  });
});
