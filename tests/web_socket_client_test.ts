/** Servers that do not do what a server of WebSockets should, to our client: what it says, and that nothing is left. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { Client, ConnectionError, type DisconnectState, HandshakeError, type VeltixError } from "../mod.ts";
import type { CloseReason } from "../src/link/close_reason.ts";
import { limited } from "./processes/waiting.ts";
import { codeOf } from "./protected_support.ts";
import { closeFrame, frame, LIMIT, LISTENER, relayTo, RUNTIME, UPPER } from "./web_socket_support.ts";
import { join, utf8 } from "./wire_support.ts";

/** True where the client is the standard WebSocket, which says less. */
const isStandard = RUNTIME === "bun";

/** What a server does with a request. It is given the right value of `Sec-WebSocket-Accept`. */
type Behave = (socket: Socket, accept: string) => void;

interface Hostile extends AsyncDisposable {
  readonly url: string;
  /** Waits until the client has left no connection open. */
  over(): Promise<void>;
}

async function hostile(behave: Behave): Promise<Hostile> {
  const sockets = new Set<Socket>();
  const ends: Promise<void>[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    ends.push(new Promise((resolve) => socket.once("close", () => resolve())));
    let request = "";
    socket.on("data", (chunk: Uint8Array) => {
      if (request.endsWith("\r\n\r\n")) return;
      request += new TextDecoder().decode(chunk);
      if (!request.endsWith("\r\n\r\n")) return;
      const key = /sec-websocket-key: (.*)\r/i.exec(request)![1];
      behave(socket, createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as { port: number }).port}/`,
    over: async () => void await limited("all connections are closed", LIMIT, Promise.all(ends)),
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      return Promise.resolve();
    },
  };
}

function status(line: string, headers = "Content-Length: 0\r\n"): Behave {
  return (socket) => void socket.end(`HTTP/1.1 ${line}\r\n${headers}\r\n`);
}

function opened(accept: string, headers = "Sec-WebSocket-Protocol: veltix.1\r\n"): string {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n${headers}\r\n`;
}

/** Opens a WebSocket, and sends something. */
function then(...pieces: readonly Uint8Array[]): Behave {
  return (socket, accept) => void socket.write(join(utf8(opened(accept)), ...pieces));
}

describe("the request of a client", () => {
  it("asks for veltix.1 without extensions, with the host and the port, and sends no origin", async () => {
    const { ReceivedRequest } = await import("../src/adapters/web_socket/request.ts");
    const seen: InstanceType<typeof ReceivedRequest>[] = [];
    await using served = await LISTENER.serve({}, {
      authenticate: ({ request }) => {
        seen.push(request as InstanceType<typeof ReceivedRequest>);
        return true;
      },
    });
    await using client = new Client({ url: `${served.url}?a=b` });
    await client.connect();
    const names = ["host", "sec-websocket-protocol", "sec-websocket-extensions", "sec-websocket-version", "origin"];
    assertEquals(
      [seen[0].target, ...names.map((name) => seen[0].headers.get(name))],
      ["/veltix?a=b", `127.0.0.1:${new URL(served.url).port}`, "veltix.1", null, "13", null],
    );
  });
});

describe("a client whose server opens no WebSocket", () => {
  const cases: readonly [name: string, behave: Behave, code: string, text?: string][] = [
    ...[200, 301, 302, 400, 401, 403, 404, 426, 500, 503].map((code): [string, Behave, string, string] => [
      `but has the status ${code}`,
      status(`${code} Status`, "Location: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n"),
      "handshake-failed",
      `the server answered with the status ${code} and not with a WebSocket, check the URL`,
    ]),
    ["but an endless page", (socket) => void socket.write("HTTP/1.1 200 OK\r\n\r\npage"), "handshake-failed", "200"],
    ["for this protocol", (socket, accept) => void socket.write(opened(accept, "")), "handshake-failed"],
    [
      "but one for another protocol",
      (socket, accept) => void socket.write(opened(accept, "Sec-WebSocket-Protocol: chat\r\n")),
      "handshake-failed",
    ],
    ["for this key", (socket) => void socket.write(opened("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")), "handshake-failed"],
    [
      "without an extension",
      (socket, accept) =>
        void socket.write(
          opened(accept, "Sec-WebSocket-Protocol: veltix.1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
        ),
      "handshake-failed",
    ],
    ["but speaks something else", (socket) => void socket.write("SSH-2.0-OpenSSH_9\r\n\r\n"), "handshake-failed"],
    [
      "but sends headers without end",
      (socket) => {
        const lines = `X: ${"x".repeat(1_000)}\r\n`.repeat(100);
        const more = (): void => {
          if (socket.writable) socket.write(lines, more);
        };
        socket.write("HTTP/1.1 101 Switching Protocols\r\n", more);
      },
      "handshake-failed",
    ],
    ["but closes", (socket) => void socket.end(), "reset"],
    ["but closes in the middle", (socket) => void socket.end("HTTP/1.1 101 Swi"), "reset"],
    ["but cuts the connection", (socket) => void socket.resetAndDestroy(), "reset"],
    ["and says nothing", () => {}, "timed-out"],
    [
      "but tells it to continue, again and again",
      (socket) => {
        const more = (): void => {
          if (socket.writable) socket.write("HTTP/1.1 100 Continue\r\n\r\n".repeat(50), () => setImmediate(more));
        };
        more();
      },
      isStandard ? "handshake-failed" : "timed-out",
    ],
  ];
  for (const [name, behave, code, text = ""] of cases) {
    it(`${name} fails: ${code}`, async () => {
      await using server = await hostile(behave);
      await using client = new Client({ url: server.url, handshakeTimeout: code === "timed-out" ? 300 : 10_000 });
      const error = await assertRejects(() => client.connect()) as VeltixError;
      assertEquals(error.code, code, error.message);
      assert(error instanceof (code === "handshake-failed" ? HandshakeError : ConnectionError));
      assertStringIncludes(error.message, text);
      await server.over();
    });
  }

  it("and whose caller gives up leaves nothing behind", async () => {
    const asked = Promise.withResolvers<void>();
    await using server = await hostile(() => asked.resolve());
    await using client = new Client({ url: server.url });
    const stop = new AbortController();
    const connecting = client.connect({ signal: stop.signal }).catch((error) => error);
    await limited("asked", LIMIT, asked.promise);
    const reason = new Error("enough");
    stop.abort(reason);
    assertEquals(await connecting, reason);
    await server.over();
  });
});

describe("a client whose server breaks the protocol of WebSockets", () => {
  const unmasked = (shape: Parameters<typeof frame>[0]): Uint8Array => frame({ mask: false, ...shape });
  const THREE = Uint8Array.of(1, 2, 3);
  const cases: readonly [name: string, bytes: Uint8Array, code: string][] = [
    ["by a mask", frame({ content: THREE }), "protocol-error"],
    ["by a reserved bit", unmasked({ reserved: 4, content: THREE }), "protocol-error"],
    ["by an opcode", unmasked({ opcode: 3 }), "protocol-error"],
    ["by a ping in fragments", unmasked({ opcode: 9, fin: false }), "protocol-error"],
    ["by a continuation of nothing", unmasked({ opcode: 0 }), "protocol-error"],
    ["by a text", unmasked({ opcode: 1, content: utf8("hello") }), "protocol-error"],
    ["by a message of 1 MiB and a byte", unmasked({ content: new Uint8Array(1024 * 1024 + 1) }), "protocol-error"],
    // Bun does not say what was wrong.
    ["by a length", unmasked({ content: THREE, length: 2n ** 62n, bits: 64 }), isStandard ? "reset" : "protocol-error"],
    ["by a close code", closeFrame(1005, "", false), "protocol-error"],
    ["by the end of the connection in the middle of a message", unmasked({ fin: false, content: THREE }), "reset"],
  ];
  for (const [name, bytes, code] of cases) {
    it(`${name} fails, and leaves nothing behind: ${code}`, async () => {
      await using server = await hostile((socket, accept) => {
        then(bytes)(socket, accept);
        if (code === "reset") socket.end();
      });
      await using client = new Client({ url: server.url });
      const error = await assertRejects(() => client.connect()) as VeltixError;
      assertEquals(error.code, code, error.message);
      await server.over();
    });
  }

  it("and does not close it is left, in a moment", async () => {
    // It answers neither FIN nor the close frame.
    await using server = await hostile(then(unmasked({ content: utf8("what is no greeting\n") })));
    await using client = new Client({ url: server.url });
    const error = await assertRejects(() => client.connect()) as VeltixError;
    assertEquals(error.code, "handshake-failed");
    await server.over();
  });
});

describe("a client that is connected", () => {
  const unmasked = (opcode: number, reserved = 0): Uint8Array => frame({ opcode, reserved, mask: false });
  const cases: readonly [name: string, bytes: Uint8Array, reason: CloseReason, code: string | undefined][] = [
    ["the close code 1000", closeFrame(1000, "", false), "peer-closed", undefined],
    ["the close code 1001, as of a proxy that shuts down", closeFrame(1001, "", false), "peer-closed", undefined],
    ["a close frame without a code", unmasked(8), "peer-closed", undefined],
    ["the close code 1011", closeFrame(1011, "out of order", false), "network-error", "network-error"],
    ["the close code 1012, as of a proxy that restarts", closeFrame(1012, "", false), "network-error", "network-error"],
    ["the close code 1013, as of a proxy that is full", closeFrame(1013, "", false), "network-error", "network-error"],
    ["the close code 4000", closeFrame(4000, "", false), "network-error", "reset"],
    ["a text", unmasked(1), "protocol-error", "protocol-error"],
    ["a reserved bit", unmasked(2, 4), "protocol-error", "protocol-error"],
  ];
  for (const [name, bytes, reason, code] of cases) {
    it(`and gets ${name} is disconnected: ${reason}`, async () => {
      await using served = await LISTENER.serve();
      await using relay = await relayTo(served.port);
      await using client = new Client({ url: `ws://127.0.0.1:${relay.port}/veltix` });
      const disconnected = new Promise<DisconnectState>((resolve) => client.on("disconnect", resolve));
      await client.connect();
      assertEquals(await client.request(UPPER, "a"), "A");
      relay.injectBack(bytes);
      const state = await limited("the event disconnect", LIMIT, disconnected);
      assertEquals([state.reason, state.error && codeOf(state.error)], [reason, code], String(state.error));
      if (code === "network-error") assert(/closed with the code 101[123]/.test(String(state.error)));
      if (name.endsWith("1011")) assertStringIncludes(String(state.error), '("out of order")');
    });
  }

  it("and is cut off is disconnected, and connects again", async () => {
    await using served = await LISTENER.serve();
    await using relay = await relayTo(served.port);
    await using client = new Client({ url: `ws://127.0.0.1:${relay.port}/veltix`, reconnect: { delay: 10 } });
    await client.connect();
    for (let i = 0; i < 3; i++) {
      const disconnected = new Promise<DisconnectState>((resolve) => client.on("disconnect", resolve, { once: true }));
      const connected = new Promise((resolve) => client.on("connect", resolve, { once: true }));
      relay.cut();
      const state = await limited("the event disconnect", LIMIT, disconnected);
      assertEquals([state.reason, codeOf(state.error)], ["network-error", "reset"]);
      await limited("the event connect", LIMIT, connected);
      assertEquals(await client.request(UPPER, "a"), "A");
    }
  });
});
