/**
 * A WebSocket that cannot be paused: what it keeps of a peer that sends and sends, and when it ends that.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConnectionError } from "../src/errors.ts";
import {
  CLOSE_CODE,
  MAX_MESSAGE_SIZE,
  MESSAGE_SIZE,
  type MessageSocket,
  PRESSING,
  UNREAD_LIMIT,
  WebSocketChannel,
  WebSocketConnection,
} from "../src/adapters/web_socket/channel.ts";

const ADDRESS = { hostname: "127.0.0.1", port: 1 };
const INFO = { local: ADDRESS, remote: ADDRESS, bufferSize: 65_536 };

/** A socket that notes what is done to it. */
class Noted implements MessageSocket {
  readonly sent: number[] = [];
  readonly codes: number[] = [];
  /** Returned for each message. */
  answer: Promise<void> | undefined = undefined;

  send(bytes: Uint8Array): Promise<void> | undefined {
    this.sent.push(bytes.length);
    return this.answer;
  }

  close(code: number): void {
    this.codes.push(code);
  }
}

/** One that can be paused. */
class Pausable extends Noted {
  paused = false;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

function opened<Socket extends MessageSocket>(
  socket: Socket,
): { socket: Socket; channel: WebSocketChannel; connection: WebSocketConnection } {
  const channel = new WebSocketChannel(socket, INFO);
  return { socket, channel, connection: new WebSocketConnection(channel, undefined) };
}

/** Sends messages until the channel is closed; returns how many were taken before. */
function flood({ channel, socket }: { channel: WebSocketChannel; socket: Noted }, size: number, most = 1_000): number {
  for (let i = 0; i < most; i++) {
    channel.message(new Uint8Array(size));
    if (socket.codes.length > 0) return i;
  }
  return most;
}

/** Has the peer been let in: something of it was read. */
async function letIn(
  { channel, connection }: { channel: WebSocketChannel; connection: WebSocketConnection },
): Promise<void> {
  channel.message(new Uint8Array(1));
  assertEquals((await connection.read())?.length, 1);
}

describe("a WebSocket that cannot be paused", () => {
  it("ends a peer of which more than the limit waits unread, and keeps nothing of it", async () => {
    const one = opened(new Noted());
    await letIn(one);
    const size = 65_536;
    const taken = flood(one, size);
    assert(taken * size <= UNREAD_LIMIT && (taken + 10) * size > UNREAD_LIMIT, `${taken} messages`);
    assertEquals(one.socket.codes, [CLOSE_CODE.aborted]);
    const error = await assertRejects(() => one.connection.read(), ConnectionError);
    assert(error.message.includes(`more than ${UNREAD_LIMIT} bytes wait unread`), error.message);
    const refused = await assertRejects(() => one.connection.write(new Uint8Array(1)), ConnectionError);
    assert(refused.message.includes("wait unread"), refused.message);
  });

  it("counts what a small message takes in memory", async () => {
    const one = opened(new Noted());
    await letIn(one);
    const taken = flood(one, 1, 100_000);
    assert(taken > 10_000 && taken < 50_000, `${taken} messages of one byte`);
  });

  it("keeps little of a peer that is not to be read yet", async () => {
    const one = opened(new Noted());
    one.connection.stopReading();
    const taken = flood(one, 65_536);
    assert(taken > 0 && taken * 65_536 <= 2 * MAX_MESSAGE_SIZE, `${taken} messages`);
    const other = opened(new Noted());
    other.connection.stopReading();
    await letIn(other);
    assert(flood(other, 65_536) > 10 * taken);
  });

  it("presses to be read while much waits, so that a peer that keeps to the rules is never ended", async () => {
    const one = opened(new Noted());
    await letIn(one);
    const size = 65_536;
    const many = PRESSING / size + 1;
    for (let i = 0; i < many; i++) {
      assertEquals(one.connection.pressing, i * (size + 1_024) > PRESSING);
      one.channel.message(new Uint8Array(size));
    }
    assertEquals(one.connection.pressing, true);
    for (let i = 0; i < many; i++) await one.connection.read();
    assertEquals([one.connection.pressing, one.socket.codes], [false, []]);
  });
});

describe("a WebSocket that can be paused", () => {
  it("is paused after a chunk, and does not press", async () => {
    const one = opened(new Pausable());
    await letIn(one);
    for (let i = 0; i < 200; i++) one.channel.message(new Uint8Array(65_536));
    assertEquals([one.socket.paused, one.connection.pressing], [true, false]);
    for (let i = 0; i < 200; i++) assertEquals((await one.connection.read())?.length, 65_536);
    assertEquals([one.socket.paused, one.socket.codes], [false, []]);
  });
});

describe("what is written to a WebSocket", () => {
  it("is cut into messages, and waits for nothing when the socket has taken it", async () => {
    const { connection, socket } = opened(new Noted());
    const sizes = [1, MESSAGE_SIZE, MESSAGE_SIZE + 1];
    for (const size of sizes) await connection.write(new Uint8Array(size));
    assertEquals(socket.sent, [1, MESSAGE_SIZE, MESSAGE_SIZE, 1]);
  });

  it("waits while the socket says so, one message at a time", async () => {
    const { connection, socket } = opened(new Noted());
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.answer = promise;
    let done = false;
    const writing = connection.write(new Uint8Array(2 * MESSAGE_SIZE)).then(() => done = true);
    await Promise.resolve();
    assertEquals([socket.sent, done], [[MESSAGE_SIZE], false]);
    await assertRejects(() => connection.write(new Uint8Array(1)), TypeError);
    socket.answer = undefined;
    resolve();
    await writing;
    assertEquals(socket.sent, [MESSAGE_SIZE, MESSAGE_SIZE]);
    await connection.write(new Uint8Array(1));
    assertEquals(socket.sent.length, 3);
  });
});
