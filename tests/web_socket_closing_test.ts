/** A WebSocket as a stream of bytes, by a stand-in for the WebSocket: what its messages mean, and what waits. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type MessageSocket, WebSocketChannel, WebSocketConnection } from "../src/adapters/web_socket/channel.ts";
import { ProtocolError } from "../src/errors.ts";
import { microtasks } from "./session_support.ts";

const INFO = {
  local: { hostname: "127.0.0.1", port: 1 },
  remote: { hostname: "127.0.0.1", port: 2 },
  bufferSize: 65_536,
};
const MIB = 1024 * 1024;

/** A WebSocket that writes down what is done with it. */
class StandIn implements MessageSocket {
  readonly done: string[] = [];
  readonly sent: Uint8Array[] = [];
  arrived = 0;
  /** What `send` returns. */
  sending: Promise<void> | undefined = undefined;

  send(bytes: Uint8Array): Promise<void> | undefined {
    this.sent.push(bytes.slice());
    return this.sending;
  }

  close(code: number): void {
    this.done.push(`close ${code}`);
  }

  terminate(): void {
    this.done.push("terminate");
  }

  pause(): void {
    this.done.push("pause");
  }

  resume(): void {
    this.done.push("resume");
  }

  received(): number {
    return this.arrived;
  }
}

function open(): { socket: StandIn; channel: WebSocketChannel; connection: WebSocketConnection } {
  const socket = new StandIn();
  const channel = new WebSocketChannel(socket, INFO);
  return { socket, channel, connection: new WebSocketConnection(channel, undefined) };
}

async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return await assertRejects(() => promise) as Error;
}

describe("a WebSocket as a connection", () => {
  it("sends at most 64 KiB in a message, and an empty one for FIN", async () => {
    const { connection, socket } = open();
    await connection.write(new Uint8Array(3 * 65_536 + 1));
    await connection.write(Uint8Array.of(1));
    await connection.closeWrite();
    assertEquals(socket.sent.map(({ length }) => length), [65_536, 65_536, 65_536, 1, 1, 0]);
    assertEquals(socket.done, []);
  });

  it("closes with 1000 after both FINs, and waits a moment for the answer", async () => {
    const { channel, connection, socket } = open();
    channel.message(Uint8Array.of(7));
    channel.message(new Uint8Array(0));
    assertEquals([await connection.read(), await connection.read()], [Uint8Array.of(7), null]);
    await connection.closeWrite();
    assertEquals(await connection.closed, undefined);
    assertEquals([socket.sent.length, socket.done], [0, ["resume", "close 1000"]]);
    channel.closed(1000);
  });

  it("is terminated by abort(), without a close frame", async () => {
    const { connection, socket } = open();
    const reading = connection.read();
    const reason = new Error("enough");
    connection.abort(reason);
    assertEquals([await failure(reading), socket.done], [reason, ["terminate"]]);
  });

  it("takes a close frame without FIN for one, and can send nothing more", async () => {
    for (const code of [1000, 1001, 1005]) {
      const { channel, connection } = open();
      channel.closed(code);
      assertEquals(await connection.read(), null);
      assertEquals((await failure(connection.write(Uint8Array.of(1)))).code, "reset");
    }
  });

  it("takes other ends for a reset, or for what they say", async () => {
    const ends = [[0, "", "reset", ""], [1006, "", "reset", ""], [4000, "", "reset", ""]] as const;
    const codes = [[1011, "oops", "network-error", 'the code 1011 ("oops")'], [
      3000,
      "",
      "network-error",
      "the code 3000",
    ]] as const;
    for (const [code, reason, found, text] of [...ends, ...codes]) {
      const { channel, connection } = open();
      channel.closed(code, reason);
      const error = await failure(connection.read());
      assertEquals(error.code, found);
      assertStringIncludes(error.message, text);
    }
  });

  const violations: readonly [name: string, messages: readonly (Uint8Array | undefined)[], code: number][] = [
    ["a text", [undefined], 1003],
    ["a message after FIN", [new Uint8Array(0), Uint8Array.of(1)], 1002],
    ["two FINs", [new Uint8Array(0), new Uint8Array(0)], 1002],
    ["a message above 1 MiB", [new Uint8Array(MIB + 1)], 1009],
  ];
  for (const [name, messages, code] of violations) {
    it(`ends with ${code} at ${name}, and sends and takes nothing after that`, async () => {
      const { channel, connection, socket } = open();
      for (const message of messages) channel.message(message);
      channel.message(Uint8Array.of(1));
      assertEquals(socket.done, ["resume", `close ${code}`]);
      const error = await failure(connection.write(Uint8Array.of(1)));
      assertInstanceOf(error, ProtocolError);
      assertStringIncludes(error.message, "The peer broke the protocol of WebSockets: it sent");
      channel.closed(code);
    });
  }

  it("takes a message of 1 MiB", async () => {
    const { channel, connection } = open();
    channel.message(new Uint8Array(MIB));
    assertEquals((await connection.read())!.length, MIB);
  });

  it("is paused while 64 KiB wait, and goes on when they are read", async () => {
    const { channel, connection, socket } = open();
    channel.message(new Uint8Array(65_535));
    assertEquals(socket.done, []);
    channel.message(new Uint8Array(1));
    assertEquals(socket.done, ["pause"]);
    await connection.read();
    await connection.read();
    assertEquals(socket.done, ["pause", "resume"]);
  });

  it("is closed when more than 32 MiB wait, where it cannot be paused", async () => {
    const { channel, connection, socket } = open();
    for (let i = 0; i < 31; i++) channel.message(new Uint8Array(MIB));
    assertEquals(socket.done, ["pause"]);
    channel.message(new Uint8Array(MIB));
    assertEquals(socket.done, ["pause", "resume", "close 4000"]);
    // What has waited is dropped.
    assertStringIncludes((await failure(connection.read())).message, "more than 33554432 bytes wait unread");
    channel.closed(4000);
  });

  it("counts small messages for what they take", () => {
    const { channel, socket } = open();
    let messages = 0;
    for (; messages < 1_000_000 && !socket.done.includes("close 4000"); messages++) channel.message(Uint8Array.of(1));
    assert(messages > 25_000 && messages < 40_000, `${messages}`);
    channel.closed(4000);
  });

  it("takes at most 2 MiB from a peer of which nothing is to be read", () => {
    const { channel, connection, socket } = open();
    connection.stopReading();
    channel.message(new Uint8Array(MIB));
    assertEquals(socket.done, ["pause"]);
    channel.message(new Uint8Array(MIB));
    assertEquals(socket.done, ["pause", "resume", "close 4000"]);
    channel.closed(4000);
  });

  it("has moved when bytes have come that are no message yet", () => {
    const { connection, socket } = open();
    assertEquals(connection.moved(), false);
    socket.arrived = 10;
    assertEquals([connection.moved(), connection.moved()], [true, false]);
  });

  it("rejects a write that waits when it is closed", async () => {
    const { channel, connection, socket } = open();
    socket.sending = new Promise(() => {});
    const writing = connection.write(Uint8Array.of(1));
    await microtasks(10);
    channel.closed(1006);
    assertEquals((await failure(writing)).code, "reset");
  });
});
