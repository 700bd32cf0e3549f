/** A server and its clients over TLS: what they see of each other, and what each end hears when it fails. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { connect as connectRaw } from "node:net";
import { X509Certificate } from "node:crypto";
import { connect as connectTls, type TLSSocket } from "node:tls";
import {
  Client,
  type ClientConfig,
  ConfigError,
  HandshakeError,
  messageType,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { tlsSockets } from "../src/adapters/tls.ts";
import { certificateOf } from "../src/adapters/tls_certificate.ts";
import { tlsError } from "../src/adapters/tls_errors.ts";
import { Identity } from "../src/encryption/identity.ts";
import { limited } from "./processes/waiting.ts";
import { clientOf, codeOf, ECHO, HOST, rejection, serve as serveAny, WHO } from "./protected_support.ts";
import { CA, pair, pem, SERVER } from "./tls_support.ts";

function serve(config: ServerConfig<unknown>): Promise<Server<unknown>> {
  return serveAny(config, (client) => client.certificate?.subject);
}

describe("TLS", () => {
  it("carries everything, and each end sees what protects it", async () => {
    await using server = await serve({ tls: SERVER });
    await using client = clientOf(server, { tls: { ca: CA } });
    assertEquals(client.security, undefined);
    await client.connect();
    assertEquals(await client.request(WHO, ""), "tls nobody");
    assertEquals(client.security, "tls");
    const { subject, issuer, names, fingerprint, validFrom, validTo } = client.certificate!;
    assertEquals([subject, issuer], ["localhost", "Veltix test CA"]);
    assertEquals(names, ["DNS:localhost", "IP Address:127.0.0.1"]);
    assert(/^[0-9a-f]{64}$/.test(fingerprint), fingerprint);
    assertEquals(validFrom.toISOString(), "2026-01-01T00:00:00.000Z");
    assertEquals(validTo.toISOString(), "2125-01-01T00:00:00.000Z");
    const large = new Uint8Array(5_000_000).map((_, i) => i * i);
    assertEquals(await client.request(ECHO, large, { timeout: 30_000 }), large);
  });

  it("ends in order: what was sent arrives, and both ends say who closed", async () => {
    await using server = await serve({ tls: SERVER });
    const reasons: string[] = [];
    let handled = 0;
    server.route(messageType(202, "note", text), () => void handled++);
    server.on("disconnect", (_, { reason }) => reasons.push(reason));
    const client = clientOf(server, { tls: { ca: CA } });
    client.on("disconnect", ({ reason }) => reasons.push(reason));
    await client.connect();
    for (let i = 0; i < 1_000; i++) client.send(messageType(202, "note", text), `${i}`);
    await client.close();
    await server.close();
    assertEquals(handled, 1_000);
    assertEquals(reasons.toSorted(), ["going-away", "manual"]);
  });

  it("serves a Python protocol, too", async () => {
    await using server = await serve({ tls: SERVER, protocol: "1.6.3" });
    await using client = clientOf(server, { tls: { ca: CA }, protocol: "1.6.3" });
    await client.connect();
    assertEquals(await client.request(ECHO, Uint8Array.of(1, 2)), Uint8Array.of(1, 2));
  });

  it("lets one listener be plain and another not", async () => {
    await using server = await serve({
      hostname: undefined,
      port: undefined,
      tls: SERVER,
      listen: [{ port: 0, hostname: HOST }, { port: 0, hostname: HOST, tls: false }],
    });
    const [secure, plain] = server.addresses as TcpEndpoint[];
    await using one = new Client({ ...secure, tls: { ca: CA } });
    await using other = new Client({ ...plain });
    await one.connect();
    await other.connect();
    assertEquals([await one.request(WHO, ""), await other.request(WHO, "")], ["tls nobody", "none nobody"]);
  });
});

describe("a client over TLS", () => {
  const cases: readonly [name: string, shown: string, tls: ClientConfig["tls"], code: string | undefined][] = [
    ["whose authority is known", "server", { ca: CA }, undefined],
    ["one of whose authorities is known", "server", { ca: [pem("other-ca.crt"), CA] }, undefined],
    ["that the system does not know", "server", true, "certificate-untrusted"],
    ["of another authority", "server", { ca: pem("other-ca.crt") }, "certificate-untrusted"],
    ["that has expired", "expired", { ca: CA }, "certificate-expired"],
    ["for another name", "server", { ca: CA, serverName: "example.org" }, "name-mismatch"],
    ["for another address", "server", { ca: CA, serverName: "127.0.0.2" }, "name-mismatch"],
    ["whose key is pinned, whoever signed it", "expired", { pin: "PIN", serverName: "example.org" }, undefined],
    ["with one of two pinned keys", "server", { pin: ["A".repeat(43) + "=", "PIN"] }, undefined],
    ["with another key", "server", { pin: "A".repeat(43) + "=" }, "certificate-untrusted"],
    [
      "with a pinned key of another authority",
      "server",
      { pin: "PIN", ca: pem("other-ca.crt") },
      "certificate-untrusted",
    ],
    [
      "with another key of the right authority",
      "server",
      { pin: "A".repeat(43) + "=", ca: CA },
      "certificate-untrusted",
    ],
  ];
  for (const [name, shown, tls, code] of cases) {
    it(`${code === undefined ? "trusts" : "refuses"} a server ${name}`, async () => {
      await using server = await serve({ tls: pair(shown) });
      server.on("rejected", () => {});
      const pin = await pinOf(shown);
      const insert = (value: string): string => value === "PIN" ? pin : value;
      const given = typeof tls === "object" && tls.pin !== undefined
        ? { ...tls, pin: typeof tls.pin === "string" ? insert(tls.pin) : tls.pin.map(insert) }
        : tls;
      await using client = clientOf(server, { tls: given });
      if (code === undefined) {
        await client.connect();
        assertEquals(client.security, "tls");
      } else {
        const error = await assertRejects(() => client.connect(), HandshakeError);
        assertEquals(error.code, code, error.message);
      }
      // Others are served as before.
      await using good = clientOf(server, { tls: { pin } });
      await good.connect();
    });
  }
});

/** Returns the pin of a certificate, as a client sees it. */
async function pinOf(name: string): Promise<string> {
  const { X509Certificate, createHash } = await import("node:crypto");
  const key = new X509Certificate(pem(`${name}.crt`)).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

describe("a server that asks for certificates", () => {
  const wanted = ["none", "optional", "required"] as const;
  const shown = ["nothing", "client", "stranger"] as const;
  const REQUIRED = "client-certificate-required";
  const UNTRUSTED = "certificate-untrusted";
  const expected: Record<typeof wanted[number], readonly string[]> = {
    none: ["tls nobody", "tls nobody", "tls nobody"],
    optional: ["tls nobody", "tls device 7", UNTRUSTED],
    required: [REQUIRED, "tls device 7", UNTRUSTED],
  };
  for (const clientCertificate of wanted) {
    shown.forEach((name, i) => {
      it(`(${clientCertificate}) meets a client that shows ${name}`, async () => {
        const seen: (string | undefined)[] = [];
        await using server = await serve({
          tls: { ...SERVER, ca: CA, clientCertificate },
          authenticate: ({ certificate, security }) => {
            seen.push(security, certificate?.subject);
            return "in";
          },
        });
        const rejected = rejection(server);
        await using client = clientOf(server, { tls: { ca: CA, ...name === "nothing" ? {} : pair(name) } });
        const outcome = expected[clientCertificate][i];
        if (outcome.startsWith("tls")) {
          await client.connect();
          assertEquals(await client.request(WHO, ""), outcome);
          assertEquals(seen, ["tls", outcome.endsWith("nobody") ? undefined : "device 7"]);
          return;
        }
        const error = await assertRejects(() => client.connect(), HandshakeError);
        assertEquals([error.code, codeOf((await rejected).error)], [outcome, outcome]);
        assertEquals(seen, [], "nobody was asked about it");
      });
    });
  }

  for (const [name, allowed, outcome] of [["nothing", true, REQUIRED], ["stranger", false, UNTRUSTED]] as const) {
    it(`and encrypts tells one that shows ${name} so within the encryption`, async () => {
      const identity = await Identity.generate();
      await using server = await serve({
        tls: { ...SERVER, ca: CA, clientCertificate: "required" },
        encryption: { identity, ...allowed ? {} : { allow: [identity.publicKey] } },
        authenticate: () => assert(false, "nobody is asked about it"),
      });
      const rejected = rejection(server);
      await using client = clientOf(server, {
        tls: { ca: CA, ...name === "nothing" ? {} : pair(name) },
        encryption: { trust: identity.publicKey },
        credentials: "a secret",
      });
      const error = await assertRejects(() => client.connect(), HandshakeError);
      assertEquals([error.code, codeOf((await rejected).error)], [outcome, outcome]);
    });
  }

  // Only Node's TLS has these curves.
  const curves = "Deno" in globalThis || "Bun" in globalThis ? it.skip : it;
  curves("refuses one on a curve that NIST has no name for, and goes on", async () => {
    await using server = await serve({ tls: { ...SERVER, ca: CA, clientCertificate: "optional" } });
    const rejected = rejection(server);
    const { port } = server.addresses[0] as TcpEndpoint;
    // A client of the library refuses such a certificate itself.
    const socket = connectTls({ port, host: HOST, ca: CA, servername: "localhost", ...pair("curve") });
    socket.on("error", () => {});
    socket.resume();
    assertEquals(codeOf((await rejected).error), UNTRUSTED);
    socket.destroy();
  });
});

describe("who speaks TLS and who does not", () => {
  it("a plain client that waits is told after a moment: tls-required on both ends", async () => {
    await using server = await serve({ tls: SERVER });
    const rejected = rejection(server);
    await using client = clientOf(server, {});
    const error = await assertRejects(() => client.connect(), HandshakeError);
    assertEquals([error.code, codeOf((await rejected).error)], ["tls-required", "tls-required"]);
  });

  it("a client of TLS at a plain server is told at once: tls-unavailable", async () => {
    await using server = await serve({});
    server.on("rejected", () => {});
    await using client = clientOf(server, { tls: { ca: CA } });
    const error = await assertRejects(() => client.connect(), HandshakeError);
    assertEquals(error.code, "tls-unavailable");
  });

  it("a plain server that gets the first bytes of TLS says tls-unavailable", async () => {
    await using server = await serve({});
    const rejected = rejection(server);
    const { port } = server.addresses[0] as TcpEndpoint;
    const socket = connectRaw(port, HOST, () => socket.write(Uint8Array.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196)));
    socket.on("error", () => {});
    socket.resume();
    assertEquals(codeOf((await rejected).error), "tls-unavailable");
    socket.destroy();
  });

  const strangers: readonly [name: string, sent: Uint8Array | "end", code: string][] = [
    ["JSON", new TextEncoder().encode('{"v":"2.0.0"}'), "tls-required"],
    ["a byte", Uint8Array.of(0x56), "tls-required"],
    ["a record that is no hello", Uint8Array.of(0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5), "tls-failed"],
    ["FIN", "end", "closed"],
  ];
  for (const [name, sent, code] of strangers) {
    it(`who sends a TLS listener ${name} costs its own connection only: ${code}`, async () => {
      await using server = await serve({ tls: SERVER });
      const rejected = rejection(server);
      const { port } = server.addresses[0] as TcpEndpoint;
      let heard = 0;
      const socket = connectRaw({ port, host: HOST, allowHalfOpen: true }, () => {
        if (sent === "end") socket.end();
        else socket.write(sent);
      });
      socket.on("error", () => {});
      socket.on("data", (chunk: Uint8Array) => heard ||= chunk[0]);
      const closed = new Promise((resolve) => socket.on("close", resolve));
      socket.on("end", () => socket.end());
      const { error } = await rejected;
      const got = codeOf(error);
      // Deno's TLS has another name for what is no hello.
      assertEquals(code === "tls-failed" && got === "tls-required" ? code : got, code, String(error));
      await using client = clientOf(server, { tls: { ca: CA } });
      await client.connect();
      assertEquals(await client.request(WHO, ""), "tls nobody");
      await limited("the stranger's socket is closed", 20_000, closed);
      if (code === "tls-required") assertEquals(heard, 0x15, "an alert was sent");
    });
  }

  it("a handshake that stands still ends with handshakeTimeout", async () => {
    await using server = await serve({ tls: SERVER, handshakeTimeout: 300 });
    const rejected = rejection(server);
    const { port } = server.addresses[0] as TcpEndpoint;
    const socket = connectRaw(port, HOST, () => socket.write(Uint8Array.of(0x16, 3, 1, 0, 200)));
    socket.on("error", () => {});
    assertEquals(codeOf((await rejected).error), "handshake-timeout");
    socket.destroy();
  });

  it("silent peers keep nobody out, and close() does not wait for them", async () => {
    await using server = await serve({ tls: SERVER });
    server.on("rejected", () => {});
    const { port } = server.addresses[0] as TcpEndpoint;
    const sockets = Array.from({ length: 50 }, () => connectRaw(port, HOST).on("error", () => {}));
    await using client = clientOf(server, { tls: { ca: CA } });
    await client.connect();
    assertEquals(await client.request(WHO, ""), "tls nobody");
    await client.close();
    await limited("closed", 20_000, server.close());
    for (const socket of sockets) socket.destroy();
  });
});

describe("renewTls", () => {
  it("shows the new certificate, and leaves open connections alone, also after a restart", async () => {
    await using server = await serve({ tls: SERVER });
    await using old = clientOf(server, { tls: { ca: CA } });
    await old.connect();
    await server.renewTls(pair("renewed"));
    await using fresh = clientOf(server, { tls: { ca: CA } });
    await fresh.connect();
    assertEquals(await old.request(WHO, ""), "tls nobody");
    const [before, after] = [await pinOf("server"), await pinOf("renewed")];
    assertEquals([old.certificate!.pin, fresh.certificate!.pin], [before, after]);
    await Promise.all([old.close(), fresh.close()]);
    await server.restart();
    await using again = clientOf(server, { tls: { ca: CA } });
    await again.connect();
    assertEquals(again.certificate!.pin, after);
  });

  it("changes nothing if the certificate cannot be used", async () => {
    await using server = await serve({ tls: SERVER });
    const { cert } = pair("renewed");
    await assertRejects(() => server.renewTls({ cert, key: pair("server").key }), ConfigError, "tls has a certificate");
    await assertRejects(() => server.renewTls(SERVER, { listener: 1 }), RangeError, "listener");
    await using client = clientOf(server, { tls: { ca: CA } });
    await client.connect();
    assertEquals(client.certificate!.pin, await pinOf("server"));
  });

  it("needs a listener with TLS", async () => {
    await using server = await serve({});
    await assertRejects(() => server.renewTls(SERVER), ConfigError, "no such listener has the option tls");
  });
});

describe("TLS below a server", () => {
  it("closes a connection that has to give way at the moment when TLS is agreed on", async () => {
    const sockets = tlsSockets();
    await using listener = await sockets.server({ context: sockets.context(SERVER) }).listen({
      hostname: HOST,
      port: 0,
    });
    const [{ value: arrival }, client] = await Promise.all([
      listener[Symbol.asyncIterator]().next().then(async (one) => {
        await one.value.secure();
        return one;
      }),
      sockets.client({ ca: CA, serverName: "localhost" }).connect(listener.address),
    ]);
    arrival.abort();
    await assertRejects(async () => {
      while (await client.read() !== null);
      throw new Error("It has ended");
    });
    client.abort();
  });

  it("has the same words for a peer that lacks the key of its certificate, whatever the runtime says", () => {
    const codes = ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CERT_SIGNATURE_FAILURE", "DEPTH_ZERO_SELF_SIGNED_CERT"];
    for (const code of codes) {
      for (const whose of ["client", "server"] as const) {
        const error = tlsError("Cannot connect", Object.assign(new Error("no"), { code }), whose);
        assertEquals(error?.code, "certificate-untrusted");
      }
    }
    assertEquals(
      tlsError("Cannot connect", Object.assign(new Error("no"), { code: "ECONNRESET" }), "client"),
      undefined,
    );
  });

  it("does not trust a certificate whose key cannot be read", () => {
    const certificate = new Uint8Array(new X509Certificate(SERVER.cert).raw);
    // The point of the key is not on its curve any more.
    const at = indexOf(certificate, Uint8Array.of(0x03, 0x42, 0x00, 0x04));
    certificate.fill(0xff, at + 4, at + 68);
    const parsed = new X509Certificate(certificate);
    const socket = { getPeerX509Certificate: () => parsed } as unknown as TLSSocket;
    const error = assertThrows(() => certificateOf(socket), HandshakeError);
    assertEquals(error.code, "certificate-untrusted");
  });
});

/** Returns where a piece begins. */
function indexOf(bytes: Uint8Array, piece: Uint8Array): number {
  const at = bytes.findIndex((_, i) => piece.every((byte, j) => bytes[i + j] === byte));
  assert(at >= 0, "the piece is there");
  return at;
}

describe("the option tls", () => {
  const wrong: readonly [config: object, message: string][] = [
    [
      { tls: { cert: "server.crt", key: SERVER.key } },
      "tls.cert must be the text of a PEM file, not a path or other text",
    ],
    [{ tls: { cert: SERVER.cert } }, "tls.key must be a PEM file's text or bytes, not undefined"],
    [{ tls: true }, "tls must be an object"],
    [{ tls: { ...SERVER, clientCert: "required" } }, 'Unknown option "clientCert"'],
    [{ tls: { ...SERVER, clientCertificate: "always" } }, "tls.clientCertificate must be none, optional or required"],
    [{ tls: SERVER, transport: "deno" }, "tls goes with the sockets of node:tls only"],
    [{ listen: [{ tls: SERVER, transport: "bun" }] }, "listen[0].tls goes with the sockets of node:tls only"],
  ];
  for (const [config, message] of wrong) {
    it(`of a server is checked: ${message}`, () => {
      const error = assertThrows(() => new Server(config as ServerConfig)) as Error;
      assertStringIncludes(error.message, message);
    });
  }

  const wrongClients: readonly [tls: unknown, message: string][] = [
    [{ cert: SERVER.cert }, "tls.cert and tls.key belong together"],
    [{ pin: "abc" }, "tls.pin must be the SHA-256 of a public key in base64"],
    [{ pin: [] }, "tls.pin must be the SHA-256 of a public key in base64"],
    [{ serverName: "" }, "tls.serverName must be a non-empty string"],
    [{ rejectUnauthorized: false }, 'Unknown option "rejectUnauthorized"'],
  ];
  for (const [tls, message] of wrongClients) {
    it(`of a client is checked: ${message}`, () => {
      const error = assertThrows(() => new Client({ tls } as ClientConfig)) as Error;
      assertStringIncludes(error.message, message);
    });
  }

  for (const kind of ["rsa-2048", "p-384", "p-521", "ed25519"]) {
    it(`takes a key of the kind ${kind}, on both ends`, async () => {
      const { cert, key } = pair(`kind-${kind}`);
      await using server = await serve({ tls: { cert, key, ca: cert, clientCertificate: "required" } });
      await using client = clientOf(server, { tls: { pin: await pinOf(`kind-${kind}`), cert, key } });
      await client.connect();
      assertEquals(await client.request(WHO, ""), "tls localhost");
    });
  }

  const kinds = [["rsa-1024", "RSA with 1024 bits"], ["rsa-pss", "RSA-PSS"], ["ed448", "Ed448"], [
    "secp256k1",
    "on a rare elliptic curve",
  ]] as const;
  for (const [kind, name] of kinds) {
    it(`refuses a key of the kind ${kind} at start(), renewTls() and connect()`, async () => {
      const tls = pair(`kind-${kind}`);
      const message = `tls has a certificate or key that cannot be used: its key is ${name}, and TLS has RSA with`;
      await assertRejects(() => new Server({ port: 0, hostname: HOST, tls }).start(), ConfigError, message);
      await using server = await serve({ tls: SERVER });
      await assertRejects(() => server.renewTls(tls), ConfigError, message);
      await using client = clientOf(server, { tls: { ca: CA, ...tls } });
      await assertRejects(() => client.connect(), ConfigError, message);
    });
  }

  it("with a key that is none fails at start() and connect(), and says so", async () => {
    const broken = { cert: SERVER.cert, key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" };
    const server = new Server({ port: 0, hostname: HOST, tls: broken });
    await assertRejects(() => server.start(), ConfigError, "tls has a certificate or key that cannot be used");
    const client = new Client({ tls: broken });
    await assertRejects(() => client.connect(), ConfigError, "tls has a certificate or key that cannot be used");
  });
});
