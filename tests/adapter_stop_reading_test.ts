/**
 * A connection that stops reading: its peer can send no more than the system keeps for it, nothing is lost, and what a
 * server keeps of clients that have proved nothing is limited.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { connect, createServer, type Socket } from "node:net";
import { Duplex } from "../src/adapters/duplex.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import { NodeChannel } from "../src/adapters/node_channel.ts";
import { nodeTransport } from "../src/adapters/node.ts";
import { loadTransport } from "../src/auto/load_transport.ts";
import { encryption } from "../src/encryption/encrypt.ts";
import { ClientNoise } from "../src/encryption/handshake/client.ts";
import { Identity } from "../src/encryption/identity.ts";
import { HandshakeError } from "../src/errors.ts";
import { Channel } from "../src/link/channel.ts";
import { type HandshakeMachine, negotiate } from "../src/link/handshake.ts";
import type { StrangerTurns } from "../src/link/stranger_turns.ts";
import type { TimerWheel } from "../src/base/timer_wheel.ts";
import type { Connection, Transport } from "../src/transport.ts";
import { NODE } from "./encryption_support.ts";
import { HOST } from "./protected_support.ts";
import { tlsTransport } from "./tls_support.ts";

const KIB = 1024;
/** More than any system keeps for a socket, in bytes. */
const MUCH = 48 * 1024 * KIB;
/** How long a count must stay the same to count as final, in milliseconds. If it is too short, a test sees less. */
const STILL = 250;

/** Resolves with a count once it does not grow any more. */
async function settled(count: () => number): Promise<number> {
  for (let last = -1;;) {
    const now = count();
    if (now === last) return now;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, STILL));
  }
}

/** The byte at a place of a long stream. */
const byteAt = (at: number): number => (at >> 3 ^ at) & 255;

async function flood(connection: Connection, sent: (size: number) => void): Promise<void> {
  for (let at = 0; at < MUCH;) {
    const piece = new Uint8Array(64 * KIB);
    for (let i = 0; i < piece.length; i++) piece[i] = byteAt(at + i);
    await connection.write(piece);
    at += piece.length;
    sent(at);
  }
  await connection.closeWrite();
}

const transports: readonly [name: string, load: () => Transport | Promise<Transport>][] = [
  ["the sockets of the runtime", async () => await loadTransport("auto") as Transport],
  ["node:net", nodeTransport],
  ["TLS", tlsTransport],
];

describe("a connection that stops reading", () => {
  for (const [name, load] of transports) {
    it(`over ${name} lets its peer send no more, and then gets everything in order`, async () => {
      const transport = await load();
      await using listener = await transport.listen({ hostname: HOST, port: 0 });
      const [{ value: server }, client] = await Promise.all([
        listener[Symbol.asyncIterator]().next() as Promise<{ value: Connection }>,
        transport.connect(listener.address),
      ]);
      await client.write(Uint8Array.of(7));
      assertEquals(await server.read(), Uint8Array.of(7));
      server.stopReading?.();
      server.stopReading?.();
      let sent = 0;
      const flooding = flood(client, (size) => sent = size);
      const most = await settled(() => sent);
      assert(most < MUCH, `${most} bytes were sent`);
      let got = 0;
      for (let stopped = 0;;) {
        const chunk = await server.read();
        if (chunk === null) break;
        // Looking at each would take seconds.
        for (let i = 0; i < chunk.length; i += 1_021) assertEquals(chunk[i], byteAt(got + i));
        got += chunk.length;
        // Again in the middle, for a moment.
        if (got > 1_000_000 && stopped++ === 0) server.stopReading?.();
      }
      assertEquals(got, MUCH);
      await flooding;
      await server.closeWrite();
      assertEquals([await client.read(), await server.closed], [null, undefined]);
      client.abort();
    });
  }

  it("has at most a chunk more than it was given", async () => {
    const sockets: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    const { port } = server.address() as { port: number };
    const peer = connect(port, HOST);
    await new Promise((resolve) => server.once("connection", resolve));
    const connection = new Duplex(new NodeChannel(sockets[0], 64 * KIB, { hostname: HOST, port }, { path: "" }));
    peer.write(Uint8Array.of(1));
    assertEquals(await connection.read(), Uint8Array.of(1));
    connection.stopReading();
    peer.write(new Uint8Array(MUCH));
    const taken = await settled(() => sockets[0].bytesRead);
    // Deno may be reading already, and Bun too.
    const chunk = "Bun" in globalThis ? 512 * KIB : "Deno" in globalThis ? 64 * KIB : 0;
    assert(taken <= 1 + chunk, `${taken} bytes were taken`);
    connection.abort();
    peer.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it("does nothing while a read waits, and after the end", async () => {
    const transport = nodeTransport();
    await using listener = await transport.listen({ hostname: HOST, port: 0 });
    const [{ value: server }, client] = await Promise.all([
      listener[Symbol.asyncIterator]().next() as Promise<{ value: Connection }>,
      transport.connect(listener.address),
    ]);
    const reading = server.read();
    server.stopReading!();
    await client.write(Uint8Array.of(9));
    assertEquals(await reading, Uint8Array.of(9));
    await client.closeWrite();
    assertEquals(await server.read(), null);
    server.stopReading!();
    assertEquals(await server.read(), null);
    server.abort();
    server.stopReading!();
    client.abort();
  });
});

describe("a client that has proved nothing", () => {
  it("is kept with 20 KiB, and with some more as long as few do that", async () => {
    const network = memoryTransport();
    const identity = await Identity.generate();
    const listening = encryption().server({ identity });
    const listener = await network.listen({ hostname: "a", port: 1 });
    const accepting = listener[Symbol.asyncIterator]();
    // Message 2 is written at once, and message 3 is never looked at.
    const later = Promise.withResolvers<void>();
    const PEERS = 120;
    let refused = 0;
    const read = new Array(PEERS).fill(0);
    const stopped = new Array(PEERS).fill(false);
    const clients: Connection[] = [];
    const accepted: Promise<void>[] = [];
    for (let i = 0; i < PEERS; i++) {
      const [{ value: connection }, client] = await Promise.all([
        accepting.next() as Promise<{ value: Connection }>,
        network.connect({ hostname: "a", port: 1 }),
      ]);
      clients.push(client);
      const counting: Connection = {
        local: connection.local,
        remote: connection.remote,
        closed: connection.closed,
        write: (bytes) => connection.write(bytes),
        closeWrite: () => connection.closeWrite(),
        abort: (reason) => connection.abort(reason),
        unref: () => connection.unref(),
        stopReading: () => stopped[i] = true,
        async read(): Promise<Uint8Array | null> {
          const chunk = await connection.read();
          read[i] += chunk?.length ?? 0;
          return chunk;
        },
      };
      let steps = 0;
      const step = (): Promise<void> | undefined => steps++ === 0 ? undefined : later.promise;
      const turns = { next: step, step, begin: () => 0, end: () => {} };
      accepted.push(
        listening.accept(counting, new Uint8Array(0), turns).then(() => assert(false, "nobody is let in"), (error) => {
          assert(error instanceof HandshakeError || error.code === "decryption-failed", String(error));
          if (error.code === "handshake-failed") refused++;
          // What is not kept does not count.
          read[i] = 0;
          connection.abort();
        }),
      );
      const machine = new ClientNoise({ primitives: NODE, verify: () => false, answer: () => new Uint8Array(0) });
      const opening = machine.start() as { send: Uint8Array };
      await client.write(opening.send);
      // The hello, then message 2.
      for (let size = 0; size < 6;) size += (await client.read())?.length ?? assert(false, "message 2 comes") ?? 0;
      // A message 3 of 17 KiB, and much behind it.
      const bytes = new Uint8Array(200 * KIB);
      bytes.set([0x44, 0x00]);
      client.write(bytes).catch(() => {});
    }
    await settled(() => read.reduce((sum, size) => sum + size, 0));
    const kept = read.reduce((sum, size) => sum + size, 0);
    assert(refused > 0 && refused < PEERS, `${refused} are refused`);
    assert(kept <= PEERS * 20 * KIB + 4 * KIB * KIB, `${kept} bytes are kept`);
    assert(kept > 4 * KIB * KIB, `${kept} bytes are kept`);
    assert(read.every((size, i) => size === 0 || stopped[i]), "those that wait are not read");
    later.resolve();
    await Promise.all(accepted);
    // All is given back.
    assertEquals(read.reduce((sum, size) => sum + size, 0), 0);
    for (const client of clients) client.abort();
    await listener.close();
    await assertRejects(() => clients[0].read());
  });
});

describe("the handshake of a stranger", () => {
  it("reads nothing while it waits for its turn", async () => {
    const seen: string[] = [];
    const turn = Promise.withResolvers<void>();
    const chunks = [new Uint8Array(1), new Uint8Array(2)];
    const channel = new Channel({
      read: () => {
        seen.push("read");
        return Promise.resolve(chunks.shift() ?? null);
      },
      stopReading: () => seen.push("stop"),
    } as unknown as Connection);
    const machine: HandshakeMachine = {
      start: () => ({ state: "waiting" }),
      push: (chunk) => {
        seen.push(`push ${chunk.length}`);
        return chunk.length === 1
          ? { state: "waiting" }
          : { state: "failed", error: new HandshakeError("unauthorized", "no") };
      },
      unfinished: () => "",
    };
    let waits = true;
    const turns = {
      next: (): Promise<void> | undefined => waits ? turn.promise : undefined,
      begin: () => 0,
      end: () => {},
    } as unknown as StrangerTurns;
    const wheel = { add: () => {}, remove: () => {} } as unknown as TimerWheel;
    const over = assertRejects(() => negotiate(channel, machine, { wheel, timeout: 1_000, turns }), HandshakeError);
    for (let i = 0; i < 10; i++) await Promise.resolve();
    assertEquals(seen, ["read", "stop"]);
    waits = false;
    turn.resolve();
    await over;
    assertEquals(seen, ["read", "stop", "push 1", "read", "push 2"]);
  });
});
