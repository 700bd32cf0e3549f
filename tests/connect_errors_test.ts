/**
 * What happens when there is nothing to listen at or to connect to, or when the wrong thing answers: one error with a
 * stable code, the same on every runtime, and nothing left behind. Real sockets; the wrong servers are `node:net`.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  Client,
  type ClientConfig,
  ConnectionError,
  type ConnectionErrorCode,
  HandshakeError,
  type HandshakeErrorCode,
  messageType,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  text,
  type Transport,
} from "@veltix/core";
import { memoryTransport } from "@veltix/core/memory";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { freePort } from "./processes/free_port.ts";
import { realWorld, until, watched } from "./session_support.ts";
import { unhex, utf8 } from "./wire_support.ts";

const HOST = "127.0.0.1";
const HELLO = messageType(200, "hello", text);
const windows = process.platform === "win32";

/** `start()` must fail with this code and leave a server that can be started once the way is free. */
async function failsToStart(config: ServerConfig, code: ConnectionErrorCode, message: string): Promise<Server> {
  const server = new Server(config);
  let listening = 0;
  server.on("listening", () => listening++);
  const starting = server.start();
  assertStrictEquals(server.start(), starting);
  const error = await assertRejects(() => starting, ConnectionError);
  assertEquals([error.code, server.addresses, listening], [code, [], 0]);
  assertStringIncludes(error.message, message);
  assert(error.cause !== undefined, "the system's own error is missing");
  return server;
}

/** `connect()` must fail with this code and leave a client that can connect once there is something to connect to. */
async function failsToConnect(config: ClientConfig, code: ConnectionErrorCode, message: string): Promise<Client> {
  const client = new Client({ handshakeTimeout: 5_000, ...config });
  const events: string[] = [];
  for (const event of ["connect", "disconnect", "error"] as const) client.on(event, () => events.push(event));
  const connecting = client.connect();
  assertStrictEquals(client.connect(), connecting);
  assertEquals(client.state, "connecting");
  const error = await assertRejects(() => connecting, ConnectionError);
  assertEquals([error.code, client.state, events], [code, "disconnected", []]);
  assertStringIncludes(error.message, message);
  await client.closed;
  return client;
}

/** Runs `body` with a new folder, which is removed afterwards. */
async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "veltix-connect-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("Server.start()", () => {
  it("fails with address-in-use where somebody listens, and works once the port is free", async () => {
    const first = new Server({ hostname: HOST, port: 0 });
    await first.start();
    const { port } = first.addresses[0] as TcpEndpoint;
    const second = await failsToStart(
      { hostname: HOST, port },
      "address-in-use",
      `Cannot listen at "${HOST}:${port}": the address is in use`,
    );
    await first.close();
    await second.start();
    assertEquals(second.addresses, [{ hostname: HOST, port }]);
    await second.close();
  });

  it("fails with unresolvable for a host that does not exist", async () => {
    await failsToStart(
      { hostname: "no.such.host.invalid", port: 0 },
      "unresolvable",
      'Cannot listen at "no.such.host.invalid:0": the host name cannot be resolved',
    );
  });

  it("fails with address-unavailable for an address of another machine, and a folder that does not exist", async () => {
    await failsToStart(
      { hostname: "192.0.2.1", port: 0 },
      "address-unavailable",
      'Cannot listen at "192.0.2.1:0": the address is not available here',
    );
    if (!windows) {
      await withFolder(async (folder) => {
        const path = join(folder, "missing/a.sock");
        const message = `Cannot listen at "${path}": the folder does not exist`;
        await failsToStart({ path }, "address-unavailable", message);
      });
    }
  });

  it("listens nowhere when one of its places fails", async () => {
    const taken = createServer().listen(0, HOST);
    await once(taken, "listening");
    const [first, third] = [await freePort(), await freePort()];
    const { port } = taken.address() as AddressInfo;
    const listen = [first, port, third].map((port) => ({ hostname: HOST, port }));
    const server = await failsToStart({ listen }, "address-in-use", `:${port}`);
    for (const port of [first, third]) {
      await failsToConnect({ hostname: HOST, port }, "refused", "the connection was refused");
    }
    taken.close();
    await once(taken, "close");
    await server.start();
    assertEquals(server.addresses, listen);
    await server.close();
  });

  const unix = windows ? it.skip : it;

  unix("fails with address-in-use where a unix socket or a file is, and leaves it alone", async () => {
    await withFolder(async (folder) => {
      const [path, file] = [join(folder, "a.sock"), join(folder, "a.txt")];
      await using first = new Server({ path });
      await first.start();
      writeFileSync(file, "mine");
      for (const taken of [path, file]) {
        await failsToStart({ path: taken }, "address-in-use", `Cannot listen at "${taken}": the address is in use`);
        assert(existsSync(taken));
      }
      await using client = new Client({ path });
      await client.connect();
    });
  });

  // Root may do nearly everything; even for root the kernel lets nobody make a socket in sysfs, which Linux has.
  const root = process.getuid?.() === 0;
  const deniable = !windows && (!root || existsSync("/sys/kernel"));

  (deniable ? it : it.skip)("fails with permission-denied where it may not listen", async () => {
    await withFolder(async (folder) => {
      const closed = join(folder, "closed");
      mkdirSync(closed);
      chmodSync(closed, 0o500);
      const path = root ? "/sys/kernel/veltix.sock" : join(closed, "a.sock");
      await failsToStart({ path }, "permission-denied", `Cannot listen at "${path}": permission denied`);
      chmodSync(closed, 0o700);
    });
  });
});

describe("Client.connect()", () => {
  it("fails with refused where nobody listens, and works once somebody does", async () => {
    const port = await freePort();
    const message = `Cannot connect to "${HOST}:${port}": the connection was refused`;
    const client = await failsToConnect({ hostname: HOST, port }, "refused", message);
    await using server = new Server({ hostname: HOST, port });
    await server.start();
    await client.connect();
    const heard = new Promise<string>((resolve) => server.route(HELLO, ({ data }) => resolve(data)));
    client.send(HELLO, "after all");
    assertEquals([client.state, await heard], ["connected", "after all"]);
    await client.close();
  });

  it("fails with unresolvable for a host that does not exist", async () => {
    await failsToConnect(
      { hostname: "no.such.host.invalid", port: 9 },
      "unresolvable",
      'Cannot connect to "no.such.host.invalid:9": the host name cannot be resolved',
    );
  });

  (process.platform === "linux" ? it : it.skip)("fails with unreachable where no way leads to", async () => {
    // Linux has no way to a multicast address for TCP. Bun says ECONNREFUSED whatever the system said.
    const [code, state] = "Bun" in globalThis
      ? ["refused", "the connection was refused"] as const
      : ["unreachable", "the network or host is unreachable"] as const;
    await failsToConnect({ hostname: "224.0.0.1", port: 9 }, code, `Cannot connect to "224.0.0.1:9": ${state}`);
  });

  it("fails with timed-out when no connection comes about within handshakeTimeout", async () => {
    const transport = hanging();
    await failsToConnect(
      { transport, port: 9, handshakeTimeout: 20 },
      "timed-out",
      "Cannot connect: no connection within 20 ms",
    );
    assertEquals(transport.waiting, 0);
  });

  const unix = windows ? it.skip : it;

  unix("fails with refused where there is no unix socket, or no socket but a file", async () => {
    await withFolder(async (folder) => {
      const [missing, file] = [join(folder, "a.sock"), join(folder, "a.txt")];
      writeFileSync(file, "mine");
      await failsToConnect({ path: missing }, "refused", `Cannot connect to "${missing}": no socket is there`);
      await failsToConnect({ path: file }, "refused", `Cannot connect to "${file}": the connection was refused`);
    });
  });

  // Only Deno has permissions of its own. Its node:child_process would hand ours down.
  ("Deno" in globalThis ? it : it.skip)(
    "and Server.start() fail with permission-denied where Deno does not let them",
    async () => {
      await withFolder(async (folder) => {
        const program = join(folder, "program.ts");
        writeFileSync(
          program,
          `import { Client, Server } from "@veltix/core";
        const codes: unknown[] = [];
        await new Client({ port: 9 }).connect().catch((error) => codes.push(error.name, error.code));
        await new Server({ port: 0 }).start().catch((error) => codes.push(error.name, error.code));
        console.log(codes.join(" "));
        Deno.exit();`,
        );
        const config = fileURLToPath(new URL("../deno.json", import.meta.url));
        const args = ["run", "--no-prompt", `--config=${config}`, program];
        const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
        const [said, failure] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        assertEquals(said.trim(), "ConnectionError permission-denied ConnectionError permission-denied", failure);
      });
    },
  );
});

/** Sockets that never get anywhere, until they are told to give up. */
function hanging(): Transport & { readonly waiting: number } {
  let waiting = 0;
  return {
    ...memoryTransport(),
    name: "hanging",
    connect: (_to, { signal } = {}) => {
      waiting++;
      return new Promise((_, reject) =>
        signal!.addEventListener("abort", () => {
          waiting--;
          reject(signal!.reason);
        })
      );
    },
    get waiting() {
      return waiting;
    },
  };
}

/**
 * A server that is not Veltix: what it does with a connection is up to the test. When the client ends its side, a polite one
 * ends the other; a rude one goes on.
 */
class WrongServer implements AsyncDisposable {
  readonly #server = createServer({ allowHalfOpen: true });
  readonly #gone: Promise<unknown>[] = [];
  readonly #first: Promise<unknown>;

  constructor(welcome: (socket: Socket) => void, polite = true) {
    let seen = (): void => {};
    this.#first = new Promise<void>((resolve) => seen = resolve);
    this.#server.on("connection", (socket) => {
      this.#gone.push(new Promise((resolve) => socket.once("close", resolve)));
      socket.on("error", () => {}); // The client may reset it.
      socket.resume();
      socket.once("end", () => polite ? socket.end() : rave(socket));
      welcome(socket);
      seen();
    });
  }

  async listen(): Promise<TcpEndpoint> {
    this.#server.listen(0, HOST);
    await once(this.#server, "listening");
    return { hostname: HOST, port: (this.#server.address() as AddressInfo).port };
  }

  /** Settles when somebody connected. */
  get connected(): Promise<unknown> {
    return this.#first;
  }

  /** Settles when every connection is over: what a client owes to a server that it does not want. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#gone);
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Writes on until the connection breaks. */
function rave(socket: Socket): void {
  const timer = setInterval(() => socket.write("on and on"), 10);
  socket.once("close", () => clearInterval(timer));
}

/** Connects to a wrong server. */
async function meets(
  welcome: (socket: Socket) => void,
  config: ClientConfig = {},
  polite = true,
): Promise<{ error: unknown; milliseconds: number }> {
  await using server = new WrongServer(welcome, polite);
  const at = await server.listen();
  const client = new Client({ ...at, handshakeTimeout: 50_000, ...config });
  const start = performance.now();
  const error = await client.connect().then(() => undefined, (error: unknown) => error);
  const milliseconds = performance.now() - start;
  assertEquals(client.state, "disconnected");
  await client.closed;
  return { error, milliseconds };
}

/**
 * Connects to a wrong server. The time moves on each time so many bytes have come, however long they take; after the last
 * of these times the handshake has had enough.
 */
async function hears(welcome: (socket: Socket) => void, ...sizes: number[]): Promise<unknown> {
  const { clock, transport } = await realWorld();
  const seen = watched(transport);
  const meeting = meets(welcome, { transport: seen.transport, handshakeTimeout: 150 });
  for (const size of sizes) {
    await until(() => seen.opened.length === 1 && seen.bytesRead >= size);
    await clock.advance(180 / sizes.length);
  }
  return (await meeting).error;
}

function assertHandshakeError(error: unknown, code: HandshakeErrorCode, message: string): void {
  assertInstanceOf(error, HandshakeError);
  assertEquals(error.code, code);
  assertStringIncludes(error.message, message);
}

describe("connecting to what is no Veltix server", () => {
  const says = (what: string, advice = "check the host and the port"): string =>
    `Cannot agree with the peer: it greeted with ${what}, which is no Veltix greeting; ${advice}`;
  const alerted = "set the option tls, or connect to a port without TLS";
  const greeted = "set the option tls of the listener, or connect without TLS";
  const json = (text: string): Uint8Array => new Uint8Array([text.length >> 8, text.length & 255, ...utf8(text)]);

  const greetings: [name: string, bytes: Uint8Array, message: string, code?: HandshakeErrorCode][] = [
    [
      "an HTTP server",
      utf8("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
      says('an HTTP answer, "HTTP/1.1 400 Bad Request"'),
    ],
    ["an SSH server", utf8("SSH-2.0-OpenSSH_9.9\r\n"), says('an SSH greeting, "SSH-2.0-OpenSSH_9.9"')],
    ["a TLS alert", unhex("15030300020228"), says("a TLS alert", alerted), "tls-required"],
    ["a TLS handshake", unhex("160303007a0200007603"), says("a TLS handshake", greeted), "tls-required"],
    [
      "a mail server",
      utf8("220 mail.example ESMTP\r\n"),
      says('an SMTP or FTP greeting, "220 mail.example ESMTP"'),
    ],
    ["zeros", new Uint8Array(64), says(`the bytes${" 00".repeat(16)}`)],
    ["a megabyte of garbage", new Uint8Array(1 << 20).fill(0xa5), says(`the bytes${" a5".repeat(16)}`)],
    [
      "a frame of another kind",
      unhex("000b0000000700000000000000000000"),
      says(`the bytes 00 0b 00 00 00 07${" 00".repeat(10)}`),
    ],
    [
      "a HELLO whose checksum is wrong",
      unhex(`000a00000007${"00".repeat(80)}`),
      says(`the bytes 00 0a 00 00 00 07${" 00".repeat(10)}`),
    ],
    ["broken JSON", json("{nope}"), "Cannot agree with the peer: it sent no valid JSON"],
    ["JSON of another program", json('{"hello":1}'), "Cannot agree with the peer: its greeting is malformed"],
    [
      "endless JSON",
      unhex("ffff7b"),
      "Cannot agree with the peer: its message of 65535 bytes is above the limit of 4096",
    ],
  ];
  for (const [name, bytes, message, code = "handshake-failed"] of greetings) {
    it(`fails at once with ${code}, and says what came: ${name}`, async () => {
      const { error, milliseconds } = await meets((socket) => socket.write(bytes));
      assertHandshakeError(error, code, message);
      assertLess(milliseconds, 40_000);
    });
  }

  it("fails with handshake-failed however the greeting is cut into pieces", async () => {
    const { error } = await meets((socket) => {
      socket.setNoDelay();
      let at = 0;
      const greeting = utf8("HTTP/1.1 400 Bad Request");
      const next = (): void => {
        if (at < 7 && !socket.destroyed) socket.write(greeting.subarray(at, ++at), () => setTimeout(next, 2));
      };
      next();
    });
    assertInstanceOf(error, HandshakeError);
    assertEquals(error.code, "handshake-failed");
    assertStringIncludes(error.message, "no Veltix greeting; check the host and the port");
  });

  it("fails with version-mismatch for a release that is not known", async () => {
    const { error } = await meets((socket) => socket.write(json('{"v":"9.9.9","meta":{}}')));
    assertHandshakeError(
      error,
      "version-mismatch",
      'Cannot agree with the server: it is release "9.9.9", which this library does not speak',
    );
  });

  const silences: [name: string, bytes: Uint8Array, received: string][] = [
    ["nothing", new Uint8Array(0), "it sent nothing: it is no Veltix server (check the host and the port)"],
    ["two bytes", utf8("SS"), 'it sent the text "SS"; check the host and the port'],
    ["the beginning of a HELLO", unhex("000a0000"), "it sent the bytes 00 0a 00 00"],
    ["the beginning of a JSON greeting", unhex("00307b2276"), "it sent the beginning of a JSON handshake"],
  ];
  for (const [name, bytes, received] of silences) {
    it(`fails with handshake-timeout, and says what came: ${name}`, async () => {
      const error = await hears((socket) => bytes.length > 0 && socket.write(bytes), bytes.length);
      assertHandshakeError(
        error,
        "handshake-timeout",
        "Cannot agree with the peer: it did not finish the handshake within ",
      );
      assertStringIncludes((error as Error).message, received);
      assert(!/\d\.\d+ ms/.test((error as Error).message), (error as Error).message);
    });
  }

  it("fails with handshake-timeout in the time of the runtime, too", async () => {
    const { error, milliseconds } = await meets(() => {}, { handshakeTimeout: 1_000 });
    // Connecting took its part of the time.
    const [, rest] = /it did not finish the handshake within (\d+) ms/.exec((error as Error).message) ?? [];
    assertHandshakeError(error, "handshake-timeout", `it did not finish the handshake within ${rest} ms`);
    assert(Number(rest) > 0 && Number(rest) <= 1_000, rest);
    assertLess(milliseconds, 40_000);
  });

  it("fails with handshake-timeout when the greeting drips: the time is for all of it", async () => {
    const error = await hears(
      (socket) => {
        socket.write(unhex("0fff7b"));
        const timer = setInterval(() => socket.write(" "), 10);
        socket.once("close", () => clearInterval(timer));
      },
      8,
      16,
    );
    assertHandshakeError(error, "handshake-timeout", "it sent the beginning of a JSON handshake");
  });

  it("fails with a ConnectionError when the connection is closed at once", async () => {
    const { error } = await meets((socket) => socket.end());
    assertInstanceOf(error, ConnectionError);
    assertEquals(error.code, "closed");
    assertStringIncludes(error.message, "it closed the connection during the handshake");
  });

  it("fails with a ConnectionError when the connection is reset at once", async () => {
    const { error } = await meets((socket) => socket.resetAndDestroy());
    assertInstanceOf(error, ConnectionError);
    assert(["reset", "closed"].includes(error.code), error.code);
  });

  it("leaves a server that never ends its side within a second or two", async () => {
    const { error, milliseconds } = await meets((socket) => socket.write(utf8("SSH-2.0-OpenSSH")), {}, false);
    assertHandshakeError(error, "handshake-failed", "an SSH greeting");
    assertLess(milliseconds, 40_000);
  });

  it("does not keep the same client from connecting to a right one", async () => {
    const wrong = new WrongServer((socket) => socket.end("SSH-2.0-OpenSSH\r\n"));
    const at = await wrong.listen();
    await using client = new Client(at);
    await assertRejects(() => client.connect(), HandshakeError, "an SSH greeting");
    await wrong[Symbol.asyncDispose]();
    await using server = new Server(at);
    await server.start();
    await client.connect();
    assertEquals(client.state, "connected");
    assertLess(await client.ping(), 5_000);
  });
});

describe("the signal of connect()", () => {
  it("rejects with its reason when it is aborted before, and connects to nothing", async () => {
    const transport = hanging();
    const client = new Client({ transport, port: 9 });
    const reason = new Error("changed my mind");
    assertStrictEquals(await assertRejects(() => client.connect({ signal: AbortSignal.abort(reason) })), reason);
    assertEquals([client.state, transport.waiting], ["disconnected", 0]);
  });

  it("rejects with its reason while a connection is being made, and takes that back", async () => {
    const transport = hanging();
    const client = new Client({ transport, port: 9 });
    const controller = new AbortController();
    const connecting = client.connect({ signal: controller.signal });
    while (transport.waiting === 0) await new Promise((resolve) => setTimeout(resolve));
    const reason = { any: "thing" };
    controller.abort(reason);
    assertStrictEquals(await connecting.then(() => undefined, (error) => error), reason);
    assertEquals([client.state, transport.waiting], ["disconnected", 0]);
  });

  it("rejects with its reason during the handshake, and closes the connection", async () => {
    await using server = new WrongServer(() => {});
    const client = new Client(await server.listen());
    const controller = new AbortController();
    const connecting = client.connect({ signal: controller.signal });
    connecting.catch(() => {});
    await server.connected;
    controller.abort();
    const error = await assertRejects(() => connecting, DOMException);
    assertEquals([error.name, client.state], ["AbortError", "disconnected"]);
  });

  it("rejects with its reason whatever that is", async () => {
    for (const reason of ["bored", null, 0, { any: "thing" }]) {
      await using server = new WrongServer(() => {});
      const client = new Client(await server.listen());
      const controller = new AbortController();
      const failed = client.connect({ signal: controller.signal }).then(() => "connected", (error: unknown) => error);
      await server.connected;
      controller.abort(reason);
      assertStrictEquals(await failed, reason);
    }
  });

  it("rejects with a TimeoutError when it is AbortSignal.timeout()", async () => {
    await using server = new WrongServer(() => {});
    const client = new Client(await server.listen());
    const error = await assertRejects(() => client.connect({ signal: AbortSignal.timeout(100) }), DOMException);
    assertEquals(error.name, "TimeoutError");
  });

  it("does nothing once the client is connected", async () => {
    await using server = new Server({ hostname: HOST, port: 0 });
    await server.start();
    await using client = new Client({ ...server.addresses[0] });
    const controller = new AbortController();
    await client.connect({ signal: controller.signal });
    controller.abort();
    assertLess(await client.ping(), 5_000);
    assertEquals(client.state, "connected");
  });

  it("is not needed to give up: close() rejects a connect() under way", async () => {
    await using server = new WrongServer(() => {});
    const client = new Client(await server.listen());
    const connecting = client.connect();
    connecting.catch(() => {});
    await server.connected;
    await client.close();
    const error = await assertRejects(() => connecting, ConnectionError, "Cannot connect: the client was closed");
    assertEquals([error.code, client.state], ["closed", "disconnected"]);
  });
});
