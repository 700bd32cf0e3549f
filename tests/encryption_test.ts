/** A server and its clients over encryption: whom each end trusts, what each hears, and what somebody between them sees. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { connect as connectRaw, createServer, type Server as RawServer, type Socket } from "node:net";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import {
  Client,
  type ClientConfig,
  type EncryptionClientOptions,
  HandshakeError,
  messageType,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { Identity, type TrustedKey, trustOnFirstUse } from "@veltix/core/encryption";
import { memoryTransport } from "@veltix/core/memory";
import { inFolder } from "./encryption_support.ts";
import { limited } from "./processes/waiting.ts";
import { clientOf, codeOf, ECHO, HOST, rejection, serve as serveAny, WHO } from "./protected_support.ts";
import { CA, SERVER as CERTIFICATE } from "./tls_support.ts";

const NOTE = messageType(202, "note", text);

const identity = await Identity.generate();
const other = await Identity.generate();
const device = await Identity.generate();
const ENCRYPTION = { identity };
const TRUST: EncryptionClientOptions = { trust: identity.publicKey };

function serve(config: ServerConfig<unknown>): Promise<Server<unknown>> {
  return serveAny(config, (client) => client.publicKey);
}

describe("encryption", () => {
  it("carries everything, and each end knows the other", async () => {
    await using server = await serve({ encryption: ENCRYPTION });
    await using client = clientOf(server, { encryption: { ...TRUST, identity: device } });
    await client.connect();
    assertEquals(await client.request(WHO, ""), `noise ${device.publicKey}`);
    assertEquals([client.security, client.serverKey], ["noise", identity.publicKey]);
    const large = new Uint8Array(5_000_000).map((_, i) => i * i);
    assertEquals(await client.request(ECHO, large, { timeout: 30_000 }), large);
  });

  it("lets in a client without an identity, and says so", async () => {
    await using server = await serve({ encryption: ENCRYPTION });
    await using client = clientOf(server, { encryption: TRUST });
    await client.connect();
    assertEquals(await client.request(WHO, ""), "noise nobody");
  });

  it("ends in order: what was sent arrives, and both ends say who closed", async () => {
    await using server = await serve({ encryption: ENCRYPTION });
    const reasons: string[] = [];
    let handled = 0;
    server.route(NOTE, () => void handled++);
    server.on("disconnect", (_, { reason }) => reasons.push(reason));
    const client = clientOf(server, { encryption: TRUST });
    client.on("disconnect", ({ reason }) => reasons.push(reason));
    await client.connect();
    for (let i = 0; i < 1_000; i++) client.send(NOTE, `${i}`);
    await client.close();
    await server.close();
    assertEquals(handled, 1_000);
    assertEquals(reasons.toSorted(), ["going-away", "manual"]);
  });

  it("goes over memory, and inside TLS", async () => {
    const transport = memoryTransport();
    await using inside = new Server<unknown>({ port: 1, transport, encryption: ENCRYPTION });
    inside.route(WHO, (_, client) => client.security);
    await inside.start();
    await using one = new Client({ port: 1, transport, encryption: TRUST });
    await one.connect();
    assertEquals(await one.request(WHO, ""), "noise");

    await using server = await serve({ encryption: ENCRYPTION, tls: CERTIFICATE });
    await using client = clientOf(server, { encryption: { ...TRUST, identity: device }, tls: { ca: CA } });
    await client.connect();
    assertEquals(await client.request(WHO, ""), `noise ${device.publicKey}`);
    assertEquals(client.certificate!.subject, "localhost");
  });

  for (const protocol of ["1.3.0", "1.6.3", "1.9.0", "2.0.3", "3.3.0"]) {
    it(`carries the protocol of Python ${protocol}, too`, async () => {
      await using server = await serve({ encryption: ENCRYPTION, protocol });
      await using client = clientOf(server, { encryption: TRUST, protocol });
      await client.connect();
      assertEquals(await client.request(ECHO, Uint8Array.of(1, 2)), Uint8Array.of(1, 2));
    });
  }

  it("reconnects", async () => {
    await using server = await serve({ encryption: ENCRYPTION });
    await using client = clientOf(server, { encryption: TRUST, reconnect: { delay: 1, jitter: false } });
    await client.connect();
    const again = new Promise((resolve) => client.on("connect", resolve, { once: true }));
    await server.restart({ drain: 0 });
    await again;
    assertEquals(await client.request(WHO, ""), "noise nobody");
  });
});

describe("a client that trusts", () => {
  const cases: readonly [name: string, trust: EncryptionClientOptions["trust"], trusted: boolean][] = [
    ["the server's key", identity.publicKey, true],
    ["one of two keys", [other.publicKey, identity.publicKey], true],
    ["another key", other.publicKey, false],
    ["whom a function names", (keys: readonly TrustedKey[]) => keys[0].publicKey === identity.publicKey, true],
    ["whom a slow function names", () => new Promise<boolean>((resolve) => setTimeout(resolve, 20, true)), true],
    ["nobody", () => false, false],
  ];
  for (const [name, trust, trusted] of cases) {
    it(`${name} ${trusted ? "talks to it" : "sends it nothing"}`, async () => {
      let asked = 0;
      await using server = await serve({ encryption: ENCRYPTION, authenticate: () => ++asked });
      server.on("rejected", () => {});
      await using client = clientOf(server, { encryption: { trust }, credentials: "secret" });
      if (trusted) {
        await client.connect();
        assertEquals([await client.request(WHO, ""), asked], ["noise nobody", 1]);
        return;
      }
      const { code } = await assertRejects(() => client.connect(), HandshakeError);
      assertEquals([code, asked], ["identity-mismatch", 0]);
    });
  }

  it("the first one it meets knows it again, and refuses another with the same address", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "known");
      const server = await serve({ encryption: ENCRYPTION });
      const { port } = server.addresses[0] as TcpEndpoint;
      for (let i = 0; i < 2; i++) {
        await using client = clientOf(server, { encryption: { trust: trustOnFirstUse(file) } });
        await client.connect();
      }
      await server.close();
      await using imposter = await serve({ encryption: { identity: other }, port });
      imposter.on("rejected", () => {});
      await using client = clientOf(imposter, { encryption: { trust: trustOnFirstUse(file) } });
      const error = await assertRejects(() => client.connect(), HandshakeError);
      assertEquals(error.code, "identity-mismatch");
      assertStringIncludes(error.message, other.fingerprint);
    });
  });

  it("only when it is told so gives up in time, and when it is closed", async () => {
    await using server = await serve({ encryption: ENCRYPTION });
    const never = (): Promise<boolean> => new Promise(() => {});
    await using late = clientOf(server, { encryption: { trust: never }, handshakeTimeout: 200 });
    const error = await limited("connect", 5_000, assertRejects(() => late.connect(), HandshakeError));
    assertEquals(error.code, "handshake-timeout");
    const asked = Promise.withResolvers<void>();
    const trust = (): Promise<boolean> => {
      asked.resolve();
      return never();
    };
    await using closed = clientOf(server, { encryption: { trust } });
    const connecting = assertRejects(() => closed.connect());
    await asked.promise;
    await limited("close", 5_000, closed.close());
    assertEquals(codeOf(await connecting), "closed");
  });

  it("a server that changes its identity by showing both for a while", async () => {
    await using server = await serve({ encryption: { identity: [identity, other] } });
    for (const trust of [identity.publicKey, other.publicKey]) {
      await using client = clientOf(server, { encryption: { trust } });
      await client.connect();
      assertEquals(client.serverKey, trust);
    }
  });
});

describe("a time-out", () => {
  it("of the encryption says so, on either end", async () => {
    const said = "encryption or TLS was not agreed on within 300 ms";
    const undecided = { encryption: { trust: () => new Promise<boolean>(() => {}) } };
    await using server = await serve({ encryption: ENCRYPTION, handshakeTimeout: 300 });
    const rejected = rejection(server);
    await using patient = clientOf(server, undecided);
    const connecting = assertRejects(() => patient.connect());
    assertStringIncludes(((await rejected).error as Error).message, said);
    await patient.close({ drain: 0 });
    await connecting;

    await using waiting = await serve({ encryption: ENCRYPTION });
    waiting.on("rejected", () => {});
    await using client = clientOf(waiting, { ...undecided, handshakeTimeout: 300 });
    const { code, message: late } = await assertRejects(() => client.connect(), HandshakeError);
    assertEquals(code, "handshake-timeout");
    assert(/encryption or TLS was not agreed on within [23]\d\d ms/.test(late), late);
  });
});

describe("a server that lets in", () => {
  it("some keys refuses the others", async () => {
    await using server = await serve({ encryption: { identity, allow: [device.publicKey] } });
    await using good = clientOf(server, { encryption: { ...TRUST, identity: device } });
    await good.connect();
    for (const shown of [undefined, other]) {
      const rejected = rejection(server);
      const options = shown === undefined ? TRUST : { ...TRUST, identity: shown };
      await using client = clientOf(server, { encryption: options });
      const { code } = await assertRejects(() => client.connect(), HandshakeError);
      assertEquals([code, codeOf((await rejected).error)], ["unauthorized", "unauthorized"]);
    }
    assertEquals(await good.request(WHO, ""), `noise ${device.publicKey}`);
  });

  it("whom authenticate says, which sees the key and the credentials", async () => {
    const seen: unknown[] = [];
    await using server = await serve({
      encryption: ENCRYPTION,
      authenticate: ({ credentials, publicKey, security }) => {
        seen.push(credentials, publicKey, security);
        return publicKey === device.publicKey && "in";
      },
    });
    server.on("rejected", () => {});
    await using good = clientOf(server, { encryption: { ...TRUST, identity: device }, credentials: { token: 1 } });
    await good.connect();
    assertEquals(seen, [{ token: 1 }, device.publicKey, "noise"]);
    await using bad = clientOf(server, { encryption: TRUST });
    const { code } = await assertRejects(() => bad.connect(), HandshakeError);
    assertEquals(code, "unauthorized");
  });

  it("only so many tells the next one so, within the encryption", async () => {
    await using server = await serve({ encryption: ENCRYPTION, maxConnections: 1 });
    server.on("rejected", () => {});
    await using first = clientOf(server, { encryption: TRUST });
    await first.connect();
    await using second = clientOf(server, { encryption: TRUST });
    const { code, refusal } = await assertRejects(() => second.connect(), HandshakeError);
    assertEquals([code, refusal?.retryAfter], ["too-many-connections", 1_000]);
  });
});

describe("who encrypts and who does not", () => {
  const meetings: readonly [name: string, server: ServerConfig, client: ClientConfig, codes: readonly string[]][] = [
    ["a plain client, a listener with encryption", { encryption: ENCRYPTION }, {}, [
      "encryption-required",
      "encryption-required",
    ]],
    ["a client with encryption, a plain listener", {}, { encryption: TRUST }, [
      "encryption-unavailable",
      "encryption-unavailable",
    ]],
    ["a client with encryption, a listener of 1.6.3", { protocol: "1.6.3" }, { encryption: TRUST }, [
      "encryption-unavailable",
      "encryption-unavailable",
    ]],
    ["a client with encryption, a listener of TLS", { tls: CERTIFICATE }, { encryption: TRUST }, [
      "encryption-unavailable",
      "tls-required",
    ]],
    ["a client of TLS, a listener with encryption", { encryption: ENCRYPTION }, { tls: { ca: CA } }, [
      "tls-unavailable",
      "",
    ]],
  ];
  for (const [name, config, client, [theirs, ours]] of meetings) {
    it(`${name}: ${theirs} and ${ours || "an end"}`, async () => {
      await using server = await serve(config as ServerConfig<unknown>);
      const rejected = rejection(server);
      await using meets = clientOf(server, client);
      const error = await assertRejects(() => meets.connect(), HandshakeError);
      assertEquals(error.code, theirs, error.message);
      const { error: seen } = await rejected;
      if (ours !== "") assertEquals(codeOf(seen), ours, String(seen));
    });
  }
});

describe("a listener or a client of release 1.3, which does not greet", () => {
  const OLD = "1.3.0";

  it("meets one that waits for a greeting: a time-out, whose text names the causes", async () => {
    await using server = await serve({ protocol: OLD });
    server.on("error", () => {});
    await using client = clientOf(server, { handshakeTimeout: 300 });
    const { code } = await assertRejects(() => client.connect(), HandshakeError);
    assertEquals(code, "handshake-timeout");
  });

  it("meets a client with encryption: encryption-unavailable", async () => {
    await using server = await serve({ protocol: OLD });
    const gone = new Promise<string>((resolve) => server.on("disconnect", (_, { reason }) => resolve(reason)));
    server.on("error", () => {});
    await using client = clientOf(server, { encryption: TRUST });
    const { code } = await assertRejects(() => client.connect(), HandshakeError);
    assertEquals([code, await gone], ["encryption-unavailable", "message-too-large"]);
  });

  it("meets a client of TLS: tls-unavailable", async () => {
    await using server = await serve({ protocol: OLD });
    const gone = new Promise<string>((resolve) => server.on("disconnect", (_, { reason }) => resolve(reason)));
    server.on("error", () => {});
    await using client = clientOf(server, { tls: { ca: CA } });
    const { code } = await assertRejects(() => client.connect(), HandshakeError);
    assertEquals(code, "tls-unavailable");
    assert(["message-too-large", "protocol-error"].includes(await gone));
  });

  const protections: readonly [name: string, config: ServerConfig, code: string][] = [
    ["encryption", { encryption: ENCRYPTION }, "encryption-required"],
    ["TLS", { tls: CERTIFICATE }, "tls-required"],
  ];
  for (const [name, config, code] of protections) {
    it(`speaks to a listener with ${name}: ${code} there, and an end here`, async () => {
      await using server = await serve(config as ServerConfig<unknown>);
      const rejected = rejection(server);
      await using client = clientOf(server, { protocol: OLD });
      client.on("error", () => {});
      const gone = new Promise<string>((resolve) => client.on("disconnect", ({ reason }) => resolve(reason)));
      await client.connect();
      try {
        client.send(NOTE, "hello");
      } catch {
        // The end may have come before.
      }
      const { error } = await rejected;
      assertEquals(codeOf(error), code, String(error));
      assert(["message-too-large", "network-error", "peer-closed", "protocol-error"].includes(await gone));
    });
  }
});

/** Somebody between a client and a server, who sees all bytes and may change them. */
class Between implements AsyncDisposable {
  readonly seen: Uint8Array[] = [];
  readonly #sockets = new Set<Socket>();
  #server!: RawServer;
  port = 0;

  static async start(
    to: number,
    change: (chunk: Uint8Array, fromClient: boolean, seen: number) => Uint8Array | "cut",
  ): Promise<Between> {
    const between = new Between();
    between.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const far = connectRaw({ port: to, host: HOST, allowHalfOpen: true });
      const counts = [0, 0];
      for (const [from, into, index] of [[socket, far, 0], [far, socket, 1]] as const) {
        between.#sockets.add(from);
        from.on("error", () => {});
        from.on("data", (chunk: Uint8Array) => {
          between.seen.push(chunk.slice());
          const changed = change(chunk, index === 0, counts[index]);
          counts[index] += chunk.length;
          if (changed !== "cut") into.write(changed);
          else {
            socket.end();
            far.end();
          }
        });
        from.on("end", () => into.end());
      }
    });
    await new Promise<void>((resolve) => between.#server.listen(0, HOST, resolve));
    between.port = (between.#server.address() as { port: number }).port;
    return between;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe("somebody on the way", () => {
  it("sees neither credentials nor payloads nor who the client is", async () => {
    await using server = await serve({ encryption: ENCRYPTION, authenticate: () => "in" });
    const { port } = server.addresses[0] as TcpEndpoint;
    await using between = await Between.start(port, (chunk) => chunk);
    await using client = new Client({
      port: between.port,
      encryption: { ...TRUST, identity: device },
      credentials: "the-token-of-alice",
    });
    await client.connect();
    assertEquals(
      await client.request(ECHO, new TextEncoder().encode("a secret payload")),
      new TextEncoder().encode("a secret payload"),
    );
    await client.close();
    const wire = Buffer.concat(between.seen);
    assert(wire.length > 500, "the tap works");
    const key = Buffer.from(device.publicKey.slice(4), "base64url");
    for (const secret of ["the-token-of-alice", "a secret payload", "authenticate", "native", device.publicKey, key]) {
      assertEquals(wire.includes(secret as string), false, `${secret} is not on the wire`);
    }
  });

  it("who changes a byte of a record ends the connection: decryption-failed on that end", async () => {
    for (const fromClient of [true, false]) {
      let armed = false;
      const errors: string[] = [];
      await using server = await serve({ encryption: ENCRYPTION });
      server.on("error", (error) => errors.push(codeOf(error)));
      const { port } = server.addresses[0] as TcpEndpoint;
      await using between = await Between.start(port, (chunk, client) => {
        if (!armed || client !== fromClient) return chunk;
        armed = false;
        const changed = chunk.slice();
        changed[changed.length - 1] ^= 1;
        return changed;
      });
      await using client = new Client({ port: between.port, encryption: TRUST });
      client.on("error", (error) => errors.push(codeOf(error)));
      const gone = [
        new Promise<string>((resolve) => client.on("disconnect", ({ reason }) => resolve(reason))),
        new Promise<string>((resolve) => server.on("disconnect", (_, { reason }) => resolve(reason))),
      ];
      await client.connect();
      armed = true;
      client.request(ECHO, new Uint8Array(100)).catch(() => {});
      const reasons = await limited("both ends", 20_000, Promise.all(gone));
      assertEquals(reasons[fromClient ? 1 : 0], "decryption-failed");
      assert(errors.includes("decryption-failed"), `${errors}`);
    }
  });

  it("who cuts the connection is noticed: truncated on both ends", async () => {
    let cut = false;
    await using server = await serve({ encryption: ENCRYPTION });
    server.on("error", () => {});
    const { port } = server.addresses[0] as TcpEndpoint;
    await using between = await Between.start(port, (chunk) => cut ? "cut" : chunk);
    await using client = new Client({ port: between.port, encryption: TRUST });
    client.on("error", () => {});
    const gone = [
      new Promise<string>((resolve) => client.on("disconnect", ({ reason }) => resolve(reason))),
      new Promise<string>((resolve) => server.on("disconnect", (_, { reason }) => resolve(reason))),
    ];
    await client.connect();
    cut = true;
    client.request(ECHO, new Uint8Array(100)).catch(() => {});
    assertEquals(await limited("both ends", 20_000, Promise.all(gone)), ["truncated", "truncated"]);
  });
});

describe("the option encryption", () => {
  const wrong: readonly [config: object, message: string][] = [
    [{ encryption: {} }, "encryption.identity must be given"],
    [{ encryption: true }, "encryption must be an object"],
    [{ encryption: { identity, trust: "x" } }, 'Unknown option "trust"'],
  ];
  for (const [config, message] of wrong) {
    it(`of a server is checked: ${message}`, () => {
      assertStringIncludes((assertThrows(() => new Server(config as ServerConfig)) as Error).message, message);
    });
  }

  it("of a client needs somebody to trust", async () => {
    const error = assertThrows(() => new Client({ encryption: { identity } } as unknown as ClientConfig)) as Error;
    assertStringIncludes(error.message, "encryption.trust must be given");
    const client = new Client({ encryption: { trust: "vx1:short" } });
    await assertRejects(() => client.connect(), TypeError, "encryption.trust must be a public key");
  });
});
