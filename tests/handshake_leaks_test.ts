/**
 * Handshakes of encryption and of TLS that fail, many of each kind, leave no socket and no timer, on neither end.
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readdirSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import process from "node:process";
import { Client, type ClientConfig, type Server, type ServerConfig, type TcpEndpoint } from "../mod.ts";
import { ClientNoise } from "../src/encryption/handshake/client.ts";
import { Identity } from "../src/encryption/identity.ts";
import { NODE } from "./encryption_support.ts";
import { until } from "./processes/waiting.ts";
import { HOST, serve } from "./protected_support.ts";
import { CA, pair, pem, SERVER } from "./tls_support.ts";

/** How many handshakes of a kind fail. */
const TIMES = process.env.VELTIX_REQUIRE_ALL === undefined ? 40 : 300;
/** How many of them at once. */
const AT_ONCE = 20;
/** The time limit of a client, longer than a busy machine takes for all of them, in milliseconds. */
const PATIENCE = 60_000;
/**
 * The time limit of a server for strangers who leave by themselves, in milliseconds. Hardly any of them may need it: only
 * one whose end the runtime has not reported.
 */
const HANDSHAKE = 10_000;
/** What else a runtime may have opened meanwhile. */
const OTHERS = 6;
/** How long everything may take to be released, in milliseconds: TLS waits 3 s for the first byte of a peer. */
const LIMIT = 20_000;

const QUIET = { warn(): void {}, error(): void {} };
const identity = await Identity.importKey(pem("server-identity.pem"));
const stranger = await Identity.importKey(pem("client-identity.pem"));

/** The number of files and sockets that this process has open; 0 where the system does not tell. */
function descriptors(): number {
  return process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
}

/** The number of timers that are set; 0 where the runtime does not tell. */
function timers(): number {
  const { getActiveResourcesInfo: info } = process as { getActiveResourcesInfo?: () => string[] };
  return info === undefined ? 0 : info().filter((name) => name === "Timeout").length;
}

/** Runs a task many times, some of them at once. */
async function many(task: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < TIMES) await task(next++);
  }));
}

/** How a stranger leaves: it sends FIN, or cuts the connection, or waits for the other to close. */
type Leaving = "fin" | "cut" | "waits";

/** Connects, sends bytes, and leaves. Resolves when the socket is closed. */
function visit(port: number, bytes: Uint8Array, leaving: Leaving): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: HOST, allowHalfOpen: true }, () => {
      if (bytes.length > 0) socket.write(bytes);
      if (leaving === "fin") socket.end();
      else if (leaving === "cut") setTimeout(() => socket.destroy(), 5);
    });
    socket.resume();
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve());
  });
}

/** Checks that the process has what it had before, once a task is over and all is released. */
async function releases(task: () => Promise<void>): Promise<void> {
  const [sockets, set] = [descriptors(), timers()];
  await task();
  await until("everything is released", LIMIT, () => descriptors() <= sockets + OTHERS && timers() <= set + OTHERS)
    .catch(() => assertEquals([descriptors(), timers()], [sockets, set]));
}

const opening = (): Uint8Array => {
  const machine = new ClientNoise({ primitives: NODE, verify: () => true, answer: () => new Uint8Array(0) });
  return (machine.start() as { send: Uint8Array }).send;
};
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);
/** The beginning of a hello of TLS. */
const HELLO = Uint8Array.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3);
const NOISE: ServerConfig<unknown> = {
  encryption: { identity, allow: [identity.publicKey] },
  handshakeTimeout: HANDSHAKE,
};
const TLS: ServerConfig<unknown> = {
  tls: { ...SERVER, ca: CA, clientCertificate: "required" },
  handshakeTimeout: HANDSHAKE,
};

const strangers: readonly [name: string, config: ServerConfig<unknown>, bytes: () => Uint8Array, leaving: Leaving][] = [
  ["encryption, silent, then FIN", NOISE, () => new Uint8Array(0), "fin"],
  ["encryption, silent until its time is over", { ...NOISE, handshakeTimeout: 50 }, () => new Uint8Array(0), "waits"],
  ["encryption, plain text", NOISE, () => utf8("GET / HTTP/1.1\r\n\r\n"), "waits"],
  ["encryption, message 1, then FIN", NOISE, opening, "fin"],
  ["encryption, message 1, then a cut", NOISE, opening, "cut"],
  ["encryption, message 1 until its time is over", { ...NOISE, handshakeTimeout: 50 }, opening, "waits"],
  [
    "encryption, more than message 1",
    NOISE,
    () => Uint8Array.of(...opening(), 0, 100, ...new Array(100).fill(7)),
    "waits",
  ],
  ["TLS, silent, then FIN", TLS, () => new Uint8Array(0), "fin"],
  ["TLS, silent, then a cut", TLS, () => new Uint8Array(0), "cut"],
  ["TLS, silent until its time is over", { ...TLS, handshakeTimeout: 50 }, () => new Uint8Array(0), "waits"],
  ["TLS, plain text", TLS, () => utf8("GET / HTTP/1.1\r\n\r\n"), "waits"],
  ["TLS, half a hello, then FIN", TLS, () => HELLO, "fin"],
  ["TLS, half a hello, then a cut", TLS, () => HELLO, "cut"],
  ["TLS, half a hello until its time is over", { ...TLS, handshakeTimeout: 50 }, () => HELLO, "waits"],
  ["TLS, a record that is no hello", TLS, () => Uint8Array.of(0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5), "waits"],
  ["both, plain text", { ...TLS, ...NOISE }, () => utf8("abc"), "waits"],
];

const clients: readonly [name: string, config: ServerConfig<unknown>, client: ClientConfig, code: string][] = [
  ["that trusts another identity", NOISE, { encryption: { trust: stranger.publicKey } }, "identity-mismatch"],
  [
    "whose identity is not allowed",
    NOISE,
    { encryption: { trust: identity.publicKey, identity: stranger } },
    "unauthorized",
  ],
  ["that does not encrypt", NOISE, {}, "encryption-required"],
  ["that trusts another authority", TLS, { tls: { ca: pem("other-ca.crt") } }, "certificate-untrusted"],
  ["without a certificate", TLS, { tls: { ca: CA } }, "client-certificate-required"],
  ["with the certificate of a stranger", TLS, { tls: { ca: CA, ...pair("stranger") } }, "certificate-untrusted"],
  [
    "that expects encryption of a server of TLS",
    TLS,
    { encryption: { trust: identity.publicKey } },
    "encryption-unavailable",
  ],
];

describe(`${TIMES} handshakes that fail leave nothing open`, () => {
  for (const [name, config, bytes, leaving] of strangers) {
    it(`of ${name}`, async () => {
      const reasons = new Map<string, number>();
      let rejected = 0;
      await using server = await serve({ ...config, logger: QUIET }, () => undefined);
      server.on("rejected", ({ reason }) => {
        rejected++;
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      });
      const { port } = server.addresses[0] as TcpEndpoint;
      await releases(() => many(() => visit(port, bytes(), leaving)));
      const state = (): string => JSON.stringify({ ...Object.fromEntries(reasons), ...server.stats() });
      await until("all are counted", LIMIT, () => rejected >= TIMES).catch((error) =>
        assert(false, `${error} ${state()}`)
      );
      if (config.handshakeTimeout === HANDSHAKE && leaving !== "waits") {
        assert((reasons.get("handshake-timeout") ?? 0) <= TIMES / 100, state());
      }
      await until("none is pending", LIMIT, () => server.stats().pendingHandshakes === 0);
    });
  }

  for (const [name, config, options, code] of clients) {
    it(`of a client ${name}`, async () => {
      await using server: Server<unknown> = await serve({ ...config, logger: QUIET }, () => undefined);
      server.on("rejected", () => {});
      const { port } = server.addresses[0] as TcpEndpoint;
      const codes = new Set<string>();
      await releases(() =>
        many(async () => {
          const timeouts = { handshakeTimeout: PATIENCE };
          const client = new Client({ hostname: HOST, port, ...timeouts, ...options, logger: QUIET });
          await client.connect().then(() => codes.add("none"), (error) => codes.add(error.code));
          await client.close();
        })
      );
      assertEquals([...codes], [code]);
      await until("none is pending", LIMIT, () => server.stats().pendingHandshakes === 0);
    });
  }

  for (
    const [name, options] of [["encryption", { encryption: { trust: identity.publicKey } }], ["TLS", {
      tls: { ca: CA },
    }]] as const
  ) {
    it(`of a client with ${name} at a server that says nothing`, async () => {
      const sockets = new Set<Socket>();
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
        socket.resume();
      });
      await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
      const { port } = server.address() as { port: number };
      await releases(() =>
        many(async () => {
          const client = new Client({ hostname: HOST, port, ...options, handshakeTimeout: 50, logger: QUIET });
          const code = await client.connect().then(() => "none", (error) => error.code);
          assert(code === "handshake-timeout" || code === "timed-out", code);
          await client.close();
        })
      );
      await until("its sockets are closed", LIMIT, () => sockets.size === 0);
      await new Promise((resolve) => server.close(resolve));
    });
  }
});
