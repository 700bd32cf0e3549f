/** The standard `WebSocket`, as browsers have it, by a stand-in whose buffer the test fills and empties. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { WebSocketChannel } from "../src/adapters/web_socket/channel.ts";
import { standardChannel, type StandardWebSocket } from "../src/adapters/web_socket/standard_socket.ts";
import { microtasks } from "./session_support.ts";

const INFO = { local: { hostname: "", port: 0 }, remote: { hostname: "127.0.0.1", port: 1 }, bufferSize: 65_536 };
const MIB = 1024 * 1024;

interface StandIn extends StandardWebSocket {
  bufferedAmount: number;
  /** The codes with which it was closed. */
  readonly closed: (number | undefined)[];
}

/** Makes an open WebSocket that sends nothing by itself. */
function standIn(): StandIn {
  return {
    binaryType: "",
    readyState: 1,
    bufferedAmount: 0,
    protocol: "veltix.1",
    onopen: null,
    onmessage: null,
    onerror: null,
    onclose: null,
    send(bytes: Uint8Array): void {
      this.bufferedAmount += bytes.length;
    },
    closed: [],
    close(code): void {
      this.closed.push(code);
    },
  };
}

type Listener = (event: { readonly persisted: boolean }) => void;

/** Runs a test as in a page, with what listens to `pagehide`. */
async function asPage(test: (listeners: ReadonlySet<Listener>) => Promise<void>): Promise<void> {
  const listeners = new Set<Listener>();
  const page: Record<string, unknown> = {
    document: {},
    addEventListener: (_: string, listener: Listener) => void listeners.add(listener),
    removeEventListener: (_: string, listener: Listener) => void listeners.delete(listener),
  };
  const own = Object.keys(page).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(page)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  try {
    await test(listeners);
  } finally {
    for (const [name, descriptor] of own) {
      if (descriptor === undefined) delete (globalThis as Record<string, unknown>)[name];
      else Object.defineProperty(globalThis, name, descriptor);
    }
  }
}

/** The next chunk of a channel, or the code of its error. */
function next(channel: WebSocketChannel): Promise<unknown> {
  return new Promise((resolve) => {
    channel.read({ received: (chunk, error) => resolve((error as { code?: string } | undefined)?.code ?? chunk) });
  });
}

describe("a standard WebSocket", () => {
  it("that is full goes on when something comes and half is sent, without waiting for its timer", async () => {
    const socket = standIn();
    const channel = standardChannel(socket, INFO);
    const writer = { taken: () => {} };
    let written = 0;
    void (async () => {
      for (; written < 4 * MIB; written += 65_536) await channel.write(new Uint8Array(65_536), writer);
    })();
    await microtasks(1_000);
    assertEquals([written, socket.bufferedAmount], [2 * MIB, 2 * MIB + 65_536]);
    const come = (): void => socket.onmessage!({ data: new Uint8Array([1]).buffer });
    socket.bufferedAmount = MIB + 1;
    come();
    await microtasks(1_000);
    assertEquals(written, 2 * MIB, "more than half of it is still there");
    socket.bufferedAmount = MIB;
    come();
    await microtasks(1_000);
    assertEquals([written, socket.bufferedAmount], [3 * MIB + 65_536, 2 * MIB + 65_536]);
    channel.release(undefined);
  });

  it("is closed when its page is left and may be kept, and has then broken for the page", async () => {
    await asPage(async (listeners) => {
      const socket = standIn();
      const channel = standardChannel(socket, INFO);
      const [hide] = listeners;
      // A page that is not kept is closed by the browser, with a code of its own.
      hide({ persisted: false });
      assertEquals([socket.closed, listeners.size], [[], 1]);
      hide({ persisted: true });
      assertEquals(socket.closed, [1000]);
      socket.onclose!({ code: 1000, reason: "" });
      assertEquals([await next(channel), listeners.size], ["ECONNRESET", 0]);
    });
  });

  it("that the peer closes has ended for its page, which is watched no more", async () => {
    await asPage(async (listeners) => {
      const socket = standIn();
      const channel = standardChannel(socket, INFO);
      socket.onclose!({ code: 1000, reason: "" });
      assertEquals([await next(channel), listeners.size], [null, 0]);
    });
  });
});
