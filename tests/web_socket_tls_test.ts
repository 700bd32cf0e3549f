/** WebSockets over TLS: what each end sees of the other, and what it hears when it fails. The same as TLS without them. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createHash, X509Certificate } from "node:crypto";
import {
  Client,
  type ClientConfig,
  ConfigError,
  HandshakeError,
  type MessageType,
  messageType,
  type ServerConfig,
  text,
} from "../mod.ts";
import { Identity } from "../src/encryption/identity.ts";
import { limited } from "./processes/waiting.ts";
import { codeOf } from "./protected_support.ts";
import { CA, pair, pem, SERVER } from "./tls_support.ts";
import {
  HTTPS,
  type Kind,
  LIMIT,
  LISTENER,
  RawSocket,
  requestText,
  RUNTIME,
  type Served,
} from "./web_socket_support.ts";

const WHO: MessageType<string, string, string, string> = messageType(210, "who", text, text);
/** True where the WebSocket of the runtime does TLS, and shows no certificate. */
const isBun = RUNTIME === "bun";

/** Starts a server whose route says how the client is protected and who it is. */
async function serve(
  tls: ServerConfig["tls"],
  config: ServerConfig<unknown> = {},
  kind: Kind = LISTENER,
): Promise<Served> {
  const served = await kind.serve({}, { ...config, tls });
  served.server.route(WHO, (_, client) => `${client.security} ${client.certificate?.subject ?? "nobody"}`);
  return served;
}

/** The certificates are for this name, and for its address. */
function clientOf({ url }: Served, tls: ClientConfig["tls"], config: ClientConfig = {}): Client {
  return new Client({ url, tls, ...config });
}

/** Returns the pin of a certificate. */
function pinOf(name: string): string {
  const key = new X509Certificate(pem(`${name}.crt`)).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

async function failure(client: Client): Promise<HandshakeError> {
  const error = await assertRejects(() => client.connect(), HandshakeError);
  return error as HandshakeError;
}

describe("WebSockets over TLS", () => {
  it("carry everything, and each end sees what protects it", async () => {
    await using served = await serve(SERVER);
    await using client = clientOf(served, { ca: CA });
    await client.connect();
    assertEquals([await client.request(WHO, ""), client.security], ["tls nobody", "tls"]);
    assertEquals(client.certificate?.subject, isBun ? undefined : "localhost");
    assertEquals(client.certificate?.pin, isBun ? undefined : pinOf("server"));
  });

  it(`are served by node:https, ${isBun ? "without" : "with"} the certificates of its clients`, async () => {
    await using served = await serve(undefined, {}, HTTPS);
    await using client = clientOf(served, { ca: CA, ...pair("client") });
    await client.connect();
    assertEquals(await client.request(WHO, ""), isBun ? "tls nobody" : "tls device 7");
    // This server of node:https lets them in, as it was told to. They have proved nothing.
    await using stranger = clientOf(served, { ca: CA, ...pair("stranger") });
    await stranger.connect();
    assertEquals(await stranger.request(WHO, ""), "tls nobody");
  });

  it("have the URL with https: in the request", async () => {
    const seen: unknown[] = [];
    await using served = await serve(SERVER, {
      authenticate: ({ request }) => {
        seen.push(request?.url.href);
        return true;
      },
    });
    await using client = clientOf(served, { ca: CA });
    await client.connect();
    assertEquals(seen, [served.url.replace("wss:", "https:")]);
  });

  it("have the encryption of identities within", async () => {
    const identity = await Identity.generate();
    await using served = await serve(SERVER, { encryption: { identity } });
    await using client = clientOf(served, { ca: CA }, { encryption: { trust: identity.publicKey } });
    await client.connect();
    assertEquals(await client.request(WHO, ""), "noise nobody");
  });
});

describe("a client of wss:", () => {
  const other = pem("other-ca.crt");
  const cases: readonly [name: string, shown: string, tls: ClientConfig["tls"], code: string | undefined][] = [
    ["whose authority is known", "server", { ca: CA }, undefined],
    ["one of whose authorities is known", "server", { ca: [other, CA] }, undefined],
    ["that the system does not know", "server", undefined, "certificate-untrusted"],
    ["of another authority", "server", { ca: other }, "certificate-untrusted"],
    ["that has expired", "expired", { ca: CA }, "certificate-expired"],
    ["for another name", "server", { ca: CA, serverName: "example.org" }, "name-mismatch"],
    ["for another address", "server", { ca: CA, serverName: "127.0.0.2" }, "name-mismatch"],
    ["for the right name", "server", { ca: CA, serverName: "localhost" }, undefined],
  ];
  for (const [name, shown, tls, code] of cases) {
    it(`${code === undefined ? "trusts" : "refuses"} a server ${name}`, async () => {
      await using served = await serve(pair(shown));
      await using client = clientOf(served, tls);
      if (code === undefined) {
        await client.connect();
        assertEquals(await client.request(WHO, ""), "tls nobody");
      } else {
        const error = await failure(client);
        assertEquals(error.code, code, error.message);
        const [{ error: rejected }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
        assert(["closed", "reset", "tls-failed"].includes(codeOf(rejected)), String(rejected));
      }
    });
  }

  const pins: readonly [name: string, tls: { readonly pin: string; readonly ca?: string }, works: boolean][] = [
    ["with a pinned key, whoever signed it", { pin: pinOf("expired") }, true],
    ["with another key", { pin: "A".repeat(43) + "=" }, false],
    ["with a pinned key of another authority", { pin: pinOf("expired"), ca: other }, false],
  ];
  for (const [name, tls, works] of pins) {
    it(`${isBun ? "cannot check" : works ? "trusts" : "refuses"} a server ${name}`, async () => {
      await using served = await serve(pair("expired"));
      await using client = clientOf(served, tls);
      if (isBun) {
        const error = await assertRejects(() => client.connect(), ConfigError) as ConfigError;
        assertEquals(error.code, "unsupported");
        assertStringIncludes(error.message, "Bun takes no tls.pin for WebSockets");
      } else if (works) {
        await client.connect();
        assertEquals(await client.request(WHO, ""), "tls nobody");
      } else {assertEquals(
          (await failure(client)).code,
          tls.ca === undefined ? "certificate-untrusted" : "certificate-expired",
        );}
    });
  }

  it("at a listener without TLS is told at once, and so is the server", async () => {
    await using served = await LISTENER.serve();
    await using client = new Client({ url: served.url.replace("ws:", "wss:"), tls: { ca: CA } });
    assertEquals((await failure(client)).code, "tls-unavailable");
    const [{ error }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
    assertEquals(codeOf(error), "tls-unavailable");
  });

  it("of ws: at a listener with TLS is told at once, and so is the server", async () => {
    await using served = await serve(SERVER);
    await using client = new Client({ url: served.url.replace("wss:", "ws:") });
    const { code, message } = await failure(client);
    assertEquals(code, isBun ? "handshake-failed" : "tls-required", message);
    const [{ error }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
    assertEquals(codeOf(error), "tls-required");
  });

  for (const [minVersion, code] of [[undefined, "tls-failed"], ["TLSv1.2", undefined]] as const) {
    it(`${code === undefined ? "takes" : "refuses"} TLS 1.2 with minVersion ${minVersion}`, async () => {
      // `node:https` has the maximum, which a listener has not.
      const { createServer } = await import("node:https");
      const { webSocketHandler } = await import("../src/auto/websocket.ts");
      await using served = await LISTENER.serve();
      const options = { cert: SERVER.cert as string, key: SERVER.key as string, maxVersion: "TLSv1.2" } as const;
      const http = createServer(options).on("upgrade", webSocketHandler(served.server).upgrade);
      http.on("tlsClientError", () => {});
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
      const { port } = http.address() as { port: number };
      try {
        await using client = new Client({ url: `wss://127.0.0.1:${port}/`, tls: { ca: CA, minVersion } });
        if (code === undefined) await client.connect();
        else assertEquals((await failure(client)).code, code);
      } finally {
        http.close();
        http.closeAllConnections();
      }
    });
  }

  for (
    const [tls, message] of [[{ ca: "other" }, "tls.ca must be the text of a PEM file"], [
      { cert: SERVER.cert },
      "tls.cert and tls.key belong together",
    ]] as const
  ) {
    it(`has its options checked: ${message}`, () => {
      const error = assertThrows(() => new Client({ url: "wss://localhost/", tls } as ClientConfig)) as Error;
      assertStringIncludes(error.message, message);
    });
  }
});

describe("a listener for wss: that asks for certificates", () => {
  const shown = ["nothing", "client", "stranger"] as const;
  const REQUIRED = "client-certificate-required";
  const UNTRUSTED = "certificate-untrusted";
  const expected = {
    none: ["tls nobody", "tls nobody", "tls nobody"],
    optional: ["tls nobody", "tls device 7", UNTRUSTED],
    required: [REQUIRED, "tls device 7", UNTRUSTED],
  } as const;
  for (const clientCertificate of ["none", "optional", "required"] as const) {
    shown.forEach((name, i) => {
      it(`(${clientCertificate}) meets a client that shows ${name}`, async () => {
        const seen: (string | undefined)[] = [];
        await using served = await serve({ ...SERVER, ca: CA, clientCertificate }, {
          authenticate: ({ certificate, security }) => {
            seen.push(security, certificate?.subject);
            return "in";
          },
        });
        await using client = clientOf(served, { ca: CA, ...name === "nothing" ? {} : pair(name) });
        const outcome = expected[clientCertificate][i];
        if (outcome.startsWith("tls")) {
          await client.connect();
          assertEquals(await client.request(WHO, ""), outcome);
          assertEquals(seen, ["tls", outcome.endsWith("nobody") ? undefined : "device 7"]);
          return;
        }
        const error = await failure(client);
        const [{ error: rejected }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
        assertEquals([error.code, codeOf(rejected)], [outcome, outcome]);
        assertEquals(seen, [], "nobody was asked about it");
      });
    });
  }
});

describe("a listener for wss:", () => {
  it("speaks HTTP/1.1 with a browser that offers HTTP/2, too", async () => {
    await using served = await serve(SERVER);
    await using raw = await RawSocket.connect(served.port, { ALPNProtocols: ["h2", "http/1.1"] });
    raw.write(requestText(served.port));
    assertEquals((await raw.answer(false)).status, 101);
  });

  it("ends handshakes of TLS and requests that do not come, in time", async () => {
    await using served = await serve(SERVER, { handshakeTimeout: 300 });
    await using silent = await RawSocket.connect(served.port, {});
    await using half = await RawSocket.connect(served.port, {});
    half.write("GET /veltix HTTP/1.1\r\n");
    await using hello = await RawSocket.connect(served.port);
    hello.write(Uint8Array.of(0x16, 3, 1, 0, 200));
    await Promise.all([silent, half, hello].map((raw) => raw.over()));
    for (let i = 0; i < 3; i++) {
      const [{ error }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
      assertEquals(codeOf(error), "handshake-timeout");
    }
  });

  it("answers requests as one without TLS does", async () => {
    await using served = await serve(SERVER);
    for (const [line, status] of [["GET / HTTP/1.1", 404], ["POST /veltix HTTP/1.1", 405], ["hello", 400]] as const) {
      await using raw = await RawSocket.connect(served.port, {});
      raw.write(requestText(served.port, {}, line));
      assertEquals((await raw.answer()).status, status);
      await raw.over();
    }
  });

  it("shows another certificate after renewTls(), and leaves open connections alone, also after a restart", async () => {
    await using served = await serve(SERVER);
    const shown = async (): Promise<string> => {
      const { connect } = await import("node:tls");
      const socket = connect({ port: served.port, host: "127.0.0.1", ca: CA, servername: "localhost" });
      await new Promise((resolve, reject) => {
        socket.once("secureConnect", resolve);
        socket.once("error", reject);
      });
      const key = socket.getPeerX509Certificate()!.publicKey.export({ type: "spki", format: "der" });
      socket.destroy();
      return createHash("sha256").update(key).digest("base64");
    };
    await using old = clientOf(served, { ca: CA });
    await old.connect();
    assertEquals(await shown(), pinOf("server"));
    await served.server.renewTls(pair("renewed"));
    assertEquals(await shown(), pinOf("renewed"));
    assertEquals(await old.request(WHO, ""), "tls nobody");
    await using fresh = clientOf(served, { ca: CA });
    await fresh.connect();
    await Promise.all([old.close(), fresh.close()]);
    await served.server.restart();
    assertEquals(await shown(), pinOf("renewed"));
    await assertRejects(() => served.server.renewTls({ ...pair("renewed"), key: pair("server").key }), ConfigError);
    assertEquals(await shown(), pinOf("renewed"));
  });

  it("fails at start() if its certificate cannot be used", async () => {
    const broken = { cert: SERVER.cert, key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" };
    await assertRejects(() => serve(broken), ConfigError, "tls has a certificate or key that cannot be used");
  });
});
