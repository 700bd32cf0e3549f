/**
 * Frames that no peer should send, to each way to take WebSockets: who decides what becomes of them, and that nobody else
 * is disturbed. The tables are those of `docs/protocol.md`.
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client } from "../mod.ts";
import type { CloseReason } from "../src/link/close_reason.ts";
import { codeOf } from "./protected_support.ts";
import {
  closeCodeOf,
  closeFrame,
  frame,
  type Kind,
  KINDS,
  LIMIT,
  RawSocket,
  relayTo,
  RUNTIME,
  UPPER,
} from "./web_socket_support.ts";
import { limited, until } from "./processes/waiting.ts";
import { join, utf8 } from "./wire_support.ts";

/**
 * What a server does: the code of its close frame, `"any"` if that depends on who is first, or `"none"` if it ends the
 * connection without one.
 */
type Close = number | "any" | "none";

interface Case {
  readonly name: string;
  readonly bytes: () => Uint8Array;
  /** The close frame of `ws`. */
  readonly close: Close;
  readonly reason: CloseReason;
  /**
   * The time for the handshake, in milliseconds. What is not read by then makes the system reset the connection, and the
   * close frame is lost. @default 300 if it runs out, 10000 if not
   */
  readonly timeout?: number;
  /** What other libraries do in place of that. */
  readonly bun?: Partial<Case>;
  readonly bunServe?: Partial<Case>;
  readonly denoServe?: Partial<Case>;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const THREE = Uint8Array.of(1, 2, 3);

/** Repeats bytes. */
function times(count: number, bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(count * bytes.length);
  for (let i = 0; i < count; i++) all.set(bytes, i * bytes.length);
  return all;
}

/** What breaks RFC 6455. */
function violation(name: string, bytes: () => Uint8Array, close: Close = 1002, other: Partial<Case> = {}): Case {
  // Deno.serve ends the connection without a close frame.
  return { name, bytes, close, reason: "protocol-error", denoServe: { close: "none" }, ...other };
}

/** What no Veltix peer sends, though a WebSocket may. The server takes it for the beginning of a handshake. */
function stranger(name: string, bytes: () => Uint8Array): Case {
  return { name, bytes, close: 1000, reason: "handshake-failed" };
}

/** What nothing follows. */
function silence(name: string, bytes: () => Uint8Array, timeout?: number): Case {
  return {
    name,
    bytes,
    close: "none",
    reason: "handshake-timeout",
    denoServe: { close: 4000 },
    ...timeout && { timeout },
  };
}

/** Longer than a busy machine takes to read 100,000 frames, in milliseconds. */
const FLOOD = 2_000;

function announced(length: bigint): Uint8Array {
  return frame({ content: THREE, length, bits: 64 });
}

const BROKEN_UTF8 = Uint8Array.of(0xc3, 0x28);

const CASES: readonly Case[] = [
  ...[4, 2, 1, 7].map((reserved) =>
    violation(`the reserved bits ${reserved}`, () => frame({ reserved, content: THREE }))
  ),
  ...[3, 7, 11, 15].map((opcode) => violation(`the opcode ${opcode}`, () => frame({ opcode, content: THREE }))),
  // Deno takes both.
  violation("a frame without a mask", () => frame({ mask: false, content: THREE }), 1002, {
    denoServe: { close: 1000, reason: "handshake-failed" },
  }),
  violation("a ping without a mask", () => frame({ opcode: 9, mask: false }), 1002, {
    denoServe: { close: 4000, reason: "handshake-timeout" },
  }),
  violation("a ping in fragments", () => frame({ opcode: 9, fin: false })),
  violation("a close frame in fragments", () => frame({ opcode: 8, fin: false })),
  violation("a ping of 126 bytes", () => frame({ opcode: 9, content: new Uint8Array(126) })),
  violation("a close frame of 126 bytes", () => closeFrame(1000, "x".repeat(124)), 1002, {
    denoServe: { close: "any", reason: "peer-closed" },
  }),
  violation("a continuation of nothing", () => frame({ opcode: 0, content: THREE })),
  violation("a message inside another", () => join(frame({ fin: false, content: THREE }), frame({ content: THREE }))),
  violation("a text inside a message", () => join(frame({ fin: false, content: THREE }), frame({ opcode: 1 }))),
  ...[2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n].map((length) =>
    violation(`the announcement of ${length} bytes`, () => announced(length), 1009)
  ),
  violation("a close frame of one byte", () => frame({ opcode: 8, content: THREE.slice(0, 1) })),
  violation("a reason that is no UTF-8", () => closeFrame(1000, BROKEN_UTF8), 1007),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map((code) =>
    violation(`the close code ${code}`, () => closeFrame(code), 1002, { denoServe: { close: 1002 } })
  ),
  violation("a text", () => frame({ opcode: 1, content: utf8("hello") }), 1003, { denoServe: { close: 4000 } }),
  violation("an empty text", () => frame({ opcode: 1 }), 1003, { denoServe: { close: 4000 } }),
  violation("a text that is no UTF-8", () => frame({ opcode: 1, content: BROKEN_UTF8 }), 1007),
  violation("a message of 1 MiB and a byte", () => frame({ content: new Uint8Array(MIB + 1) }), 1009, {
    denoServe: { close: 4000 },
  }),
  violation(
    "fragments above 1 MiB",
    () =>
      join(
        frame({ fin: false, content: new Uint8Array(600 * KIB) }),
        frame({ opcode: 0, content: new Uint8Array(600 * KIB) }),
      ),
    1009,
    { denoServe: { close: 4000 } },
  ),
  // The package in Bun and both HTTP servers put fragments together as they come.
  violation(
    "20,000 fragments of a byte",
    () =>
      join(
        frame({ fin: false, content: THREE }),
        times(20_000, frame({ opcode: 0, fin: false, content: THREE.slice(0, 1) })),
      ),
    1008,
    {
      bun: { close: "none", reason: "handshake-timeout" },
      bunServe: { close: "none", reason: "handshake-timeout" },
      denoServe: { close: 4000, reason: "handshake-timeout" },
    },
  ),
  ...[1000, 1001].map((code): Case => ({
    name: `the close code ${code}`,
    bytes: () => closeFrame(code),
    close: code,
    reason: "peer-closed",
  })),
  { name: "a close frame without a code", bytes: () => frame({ opcode: 8 }), close: 1005, reason: "peer-closed" },
  ...[1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4999].map((code): Case => ({
    name: `the close code ${code}`,
    bytes: () => closeFrame(code, "because"),
    close: code,
    reason: "network-error",
  })),
  {
    name: "a message after a close frame",
    bytes: () => join(closeFrame(1000), frame({ content: THREE })),
    close: 1000,
    reason: "peer-closed",
  },
  { name: "two close frames", bytes: () => times(2, closeFrame(1000)), close: 1000, reason: "peer-closed" },
  { name: "an empty message, which is FIN", bytes: () => frame({}), close: 1000, reason: "peer-closed" },
  // RFC 6455 wants the shortest one, and nobody minds.
  stranger("a length of 3 in 16 bits", () => frame({ content: THREE, bits: 16 })),
  stranger("a length of 300 in 64 bits", () => frame({ content: new Uint8Array(300), bits: 64 })),
  stranger("a message of 1 MiB", () => frame({ content: new Uint8Array(MIB) })),
  stranger("fragments of a byte, and pings between them", () =>
    join(
      frame({ fin: false, content: THREE.slice(0, 1) }),
      frame({ opcode: 9, content: utf8("a") }),
      frame({ opcode: 0, fin: false }),
      frame({ opcode: 10 }),
      frame({ opcode: 0, fin: false, content: THREE.slice(1, 2) }),
      frame({ opcode: 9, content: utf8("b") }),
      frame({ opcode: 0, content: THREE.slice(2) }),
    )),
  silence("a part of a frame", () => frame({ content: new Uint8Array(300) }).slice(0, 100)),
  silence("a part of a header", () => frame({ content: new Uint8Array(300) }).slice(0, 3)),
  silence("a part of a message", () => frame({ fin: false, content: THREE })),
  silence("100,000 pings", () => times(100_000, frame({ opcode: 9, content: THREE })), FLOOD),
  silence("100,000 pongs", () => times(100_000, frame({ opcode: 10, content: THREE })), FLOOD),
];

/** What a kind of server does in a case. */
function expected(kind: Kind, one: Case): Case {
  const other = kind.name === "Deno.serve"
    ? one.denoServe
    : kind.name === "Bun.serve"
    ? one.bunServe
    : RUNTIME === "bun"
    ? one.bun
    : undefined;
  return { ...one, ...other };
}

for (const kind of KINDS) {
  describe(`${kind.name} gets from a stranger`, () => {
    for (const one of CASES) {
      const { bytes, close, name, reason, timeout } = expected(kind, one);
      const limit = timeout ?? (reason === "handshake-timeout" ? 300 : 10_000);
      const how = close === "none"
        ? "without a close frame"
        : `with ${close === "any" ? "a code" : `the code ${close}`}`;
      it(`${name}, and ends ${how}: ${reason}`, async () => {
        await using served = await kind.serve({}, { handshakeTimeout: limit });
        await using other = new Client({ url: served.url });
        await other.connect();
        await using raw = await RawSocket.open(served.port);
        await raw.until("the greeting", () => raw.frames.length > 0);
        raw.take();
        raw.write(bytes());
        const rejected = limited("the event rejected", LIMIT, served.events.next("rejected"));
        if (reason === "handshake-failed") {
          await rejected;
          // The server has sent FIN.
          raw.write(frame({}));
        }
        // A server that has sent a close frame waits a moment for the answer. Deno waits for as long as it takes.
        if (close !== "none") {
          await raw.until("a close frame", () => raw.frames.some(({ opcode }) => opcode === 8));
          raw.write(closeFrame(1000));
          raw.end();
        }
        await raw.over();
        const [{ error, reason: found }] = await rejected;
        assertEquals(found, reason, String(error));
        const closed = raw.frames.filter(({ opcode }) => opcode === 8).map(closeCodeOf);
        if (close === "any") assertEquals(closed.length, 1);
        else assertEquals(closed, close === "none" ? [] : [close]);
        assertEquals(await other.request(UPPER, "others go on"), "OTHERS GO ON");
      });
    }
  });

  describe(`${kind.name} gets from a client`, () => {
    const cases: readonly [name: string, bytes: Uint8Array, reason: CloseReason, code: string | undefined][] = [
      ["a text", frame({ opcode: 1 }), "protocol-error", "protocol-error"],
      ["a reserved bit", frame({ reserved: 4 }), "protocol-error", "protocol-error"],
      [
        "a message of 1 MiB and a byte",
        frame({ content: new Uint8Array(MIB + 1) }),
        "protocol-error",
        "protocol-error",
      ],
      ["a message after FIN", join(frame({}), frame({ content: THREE })), "peer-closed", undefined],
      ["the close code 1000", closeFrame(1000), "peer-closed", undefined],
      ["the close code 1001, as of a page that was left", closeFrame(1001), "peer-closed", undefined],
      ["a close frame without a code", frame({ opcode: 8 }), "peer-closed", undefined],
      ["the close code 1011", closeFrame(1011, "oops"), "network-error", "network-error"],
      ["the close code 1012, as of a proxy", closeFrame(1012), "network-error", "network-error"],
      ["the close code 1013, as of a proxy", closeFrame(1013), "network-error", "network-error"],
      ["the close code 4000", closeFrame(4000), "network-error", "reset"],
    ];
    for (const [name, bytes, reason, code] of cases) {
      it(`${name}: it is disconnected, ${reason}`, async () => {
        await using served = await kind.serve();
        await using relay = await relayTo(served.port);
        await using client = new Client({ url: `ws://127.0.0.1:${relay.port}/veltix` });
        await client.connect();
        assertEquals(await client.request(UPPER, "a"), "A");
        relay.inject(bytes);
        const [, state] = await limited("the event disconnect", LIMIT, served.events.next("disconnect"));
        assertEquals([state.reason, state.error && codeOf(state.error)], [reason, code], String(state.error));
        if (code === "network-error") {
          assert(/closed with the code 101[123]/.test(String(state.error)), String(state.error));
        }
        await limited("the client is disconnected", LIMIT, client.closed);
      });
    }

    it(`a cut: it is disconnected, network-error`, async () => {
      await using served = await kind.serve();
      await using relay = await relayTo(served.port);
      await using client = new Client({ url: `ws://127.0.0.1:${relay.port}/veltix` });
      await client.connect();
      relay.cut();
      const [, state] = await limited("the event disconnect", LIMIT, served.events.next("disconnect"));
      assertEquals([state.reason, codeOf(state.error)], ["network-error", "reset"]);
    });

    // Deno reads no more meanwhile, and Bun.serve leaves answers out: see docs/protocol.md.
    if (kind.name !== "Deno.serve" && kind.name !== "Bun.serve") {
      it("500,000 pings without reading an answer, and does not keep one for each", async () => {
        await using served = await kind.serve({}, { handshakeTimeout: 50_000 });
        await using raw = await RawSocket.open(served.port);
        await raw.until("the greeting", () => raw.frames.length > 0);
        raw.pause();
        const pings = times(1_000, frame({ opcode: 9, content: new Uint8Array(125) }));
        for (let i = 0; i < 500; i++) raw.write(pings);
        await using other = new Client({ url: served.url });
        await other.connect();
        for (let i = 0; i < 10; i++) assertEquals(await other.request(UPPER, "a"), "A");
        raw.write(frame({ opcode: 9, content: utf8("last") }));
        raw.resume();
        await raw.until("the last pong", () => raw.text.endsWith("last"));
        // A pong has as many bytes as its ping, but for the mask.
        assert(raw.count < 0.9 * 500_000 * 127, `${raw.count} bytes of pongs`);
      });
    }
  });
}

describe("a connection that its peer does not end", () => {
  // Deno cannot end it either: see docs/protocol.md.
  for (const kind of KINDS.filter(({ name }) => name !== "Deno.serve")) {
    for (const [name, bytes] of [["FIN", frame({})], ["a close frame", closeFrame(1000)]] as const) {
      it(`is ended by ${kind.name} in a moment, after ${name}`, async () => {
        await using served = await kind.serve();
        await using raw = await RawSocket.open(served.port);
        await raw.until("the greeting", () => raw.frames.length > 0);
        raw.write(bytes);
        await raw.until("a close frame", () => raw.frames.some(({ opcode }) => opcode === 8));
        await raw.over();
        const [{ reason }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
        assertEquals(reason, "peer-closed");
        await until("nothing is left", LIMIT, () => served.server.stats().pendingHandshakes === 0);
      });
    }
  }
});
