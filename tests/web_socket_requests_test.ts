/** Requests for WebSockets: which are accepted, and what the others are answered, by each way to take them. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConnectionError, HandshakeError } from "../src/errors.ts";
import { ReceivedRequest } from "../src/adapters/web_socket/request.ts";
import { Identity } from "../src/encryption/identity.ts";
import type { AuthenticateContext } from "../src/server/authenticate.ts";
import type { OriginCheck, WebSocketServerOptions } from "../src/websocket_seam.ts";
import { Client } from "../mod.ts";
import { codeOf } from "./protected_support.ts";
import {
  type Answer,
  frame,
  HTTPS,
  type Kind,
  KINDS,
  LIMIT,
  LISTENER,
  RawSocket,
  relayTo,
  type RequestHeaders,
  requestText,
  RUNTIME,
  type Served,
  UPPER,
} from "./web_socket_support.ts";
import { join, utf8 } from "./wire_support.ts";
import { limited } from "./processes/waiting.ts";

/** A request that is not accepted, and the answer. */
interface Case {
  readonly name: string;
  readonly line?: string;
  readonly headers?: RequestHeaders;
  readonly status: number;
  readonly body: string;
  /** Headers of the answer. */
  readonly answer?: Readonly<Record<string, string>>;
  /** Only where the whole request is ours: by a listener, and where an HTTP server hands upgrades on. */
  readonly kinds?: readonly Kind["name"][];
}

const OWN = ["a listener", "node:http"] as const;
const NO_WEB_SOCKET = { status: 426, body: "Only WebSockets are served here\n", answer: { upgrade: "websocket" } };
const NO_VERSION = {
  status: 426,
  body: "Only version 13 of WebSockets is served\n",
  answer: { "sec-websocket-version": "13" },
};
const NO_KEY = { status: 400, body: "Sec-WebSocket-Key must be 16 bytes in base64\n" };
const NO_PROTOCOL = { status: 400, body: "Only the subprotocol veltix.1 is served\n" };
const NO_HOST = { status: 400, body: "Host must name the server\n" };
const NO_BODY = { status: 400, body: "A request for a WebSocket must not have a body\n" };
const NO_ORIGIN = { status: 403, body: "Pages of this origin may not connect\n" };

const CASES: readonly Case[] = [
  { name: "another path", line: "GET /other HTTP/1.1", status: 404, body: "Nothing is here\n" },
  { name: "a path that begins like it", line: "GET /veltix/ HTTP/1.1", status: 404, body: "Nothing is here\n" },
  { name: "a path with two slashes", line: "GET //veltix HTTP/1.1", status: 404, body: "Nothing is here\n" },
  {
    name: "another method",
    line: "POST /veltix HTTP/1.1",
    status: 405,
    body: "Only GET is allowed\n",
    answer: { allow: "GET" },
  },
  // The HTTP server of the program would answer it itself.
  {
    name: "no upgrade",
    headers: { Upgrade: undefined },
    kinds: ["a listener", "Deno.serve", "Bun.serve"],
    ...NO_WEB_SOCKET,
  },
  { name: "an upgrade to something else", headers: { Upgrade: "h2c" }, ...NO_WEB_SOCKET },
  {
    name: "an upgrade that Connection does not list",
    headers: { Connection: "keep-alive" },
    kinds: ["a listener", "Deno.serve", "Bun.serve"],
    ...NO_WEB_SOCKET,
  },
  { name: "another version", headers: { "Sec-WebSocket-Version": "8" }, ...NO_VERSION },
  { name: "no version", headers: { "Sec-WebSocket-Version": undefined }, ...NO_VERSION },
  { name: "no key", headers: { "Sec-WebSocket-Key": undefined }, ...NO_KEY },
  { name: "a short key", headers: { "Sec-WebSocket-Key": "AAAA" }, ...NO_KEY },
  {
    name: "two keys",
    headers: { "Sec-WebSocket-Key": ["AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA=="] },
    ...NO_KEY,
  },
  { name: "no subprotocol", headers: { "Sec-WebSocket-Protocol": undefined }, ...NO_PROTOCOL },
  { name: "another subprotocol", headers: { "Sec-WebSocket-Protocol": "veltix.2" }, ...NO_PROTOCOL },
  { name: "a broken list of subprotocols", headers: { "Sec-WebSocket-Protocol": "a,, veltix.1" }, ...NO_PROTOCOL },
  // Deno answers these itself, without words.
  { name: "a body", headers: { "Content-Length": "3" }, kinds: [...OWN, "Bun.serve"], ...NO_BODY },
  { name: "a body in chunks", headers: { "Transfer-Encoding": "chunked" }, kinds: [...OWN, "Bun.serve"], ...NO_BODY },
  { name: "a bad host", headers: { Host: "a b" }, ...NO_HOST },
  // To Deno the host is "a", and the path is another.
  { name: "a host with a path", headers: { Host: "a/b" }, kinds: [...OWN, "Bun.serve"], ...NO_HOST },
  // Deno and Bun answer these themselves.
  { name: "no host", headers: { Host: undefined }, kinds: OWN, ...NO_HOST },
  { name: "two hosts", headers: { Host: ["a.test", "b.test"] }, kinds: OWN, ...NO_HOST },
  { name: "a page of another origin", headers: { Origin: "https://evil.test" }, ...NO_ORIGIN },
];

/** Sends a request, and takes the answer. */
async function ask(served: Served, text: string): Promise<Answer> {
  await using raw = await RawSocket.connect(served.port);
  raw.write(text);
  return await raw.answer();
}

for (const kind of KINDS) {
  describe(`a request to ${kind.name}`, () => {
    for (const { name, line, headers, status, body, answer = {}, kinds } of CASES) {
      if (kinds !== undefined && !kinds.includes(kind.name)) continue;
      it(`with ${name} gets the status ${status}, and the server says so`, async () => {
        await using served = await kind.serve();
        const got = await ask(served, requestText(served.port, headers, line));
        assertEquals([got.status, got.body], [status, body]);
        assertMatch(got.headers.get("content-type")!, /^text\/plain/);
        for (const [header, value] of Object.entries(answer)) assertEquals(got.headers.get(header), value);
        const [{ error }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
        const isRequest = headers === undefined || !("Upgrade" in headers) || headers.Upgrade !== undefined;
        assertEquals(codeOf(error), isRequest ? "handshake-failed" : "closed", String(error));
        if (isRequest) assertStringIncludes(error.message, `was answered with the status ${status}: ${body.trim()}`);
      });
    }

    if (OWN.includes(kind.name as typeof OWN[number])) {
      it("that is not accepted leaves no socket behind, though the client does not close it", async () => {
        await using served = await kind.serve();
        await using raw = await RawSocket.connect(served.port);
        raw.write(requestText(served.port, {}, "GET /other HTTP/1.1"));
        assertEquals((await raw.answer()).status, 404);
        await raw.lost();
      });
    }

    const good: readonly [name: string, headers: RequestHeaders, line?: string][] = [
      ["without an origin", {}],
      ["of a page of the same host", { Origin: "http://HOST" }],
      ["of a page of the same host behind a proxy that has taken TLS off", { Origin: "https://HOST" }],
      ["with a query", {}, "GET /veltix?a=b HTTP/1.1"],
      ["with several subprotocols", { "Sec-WebSocket-Protocol": "other, veltix.1" }],
      ["with several connection options", { Connection: "keep-alive, Upgrade" }],
      ["that offers extensions", { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }],
    ];
    for (const [name, headers, line] of good) {
      it(`${name} is accepted, without extensions and with the headers of the server`, async () => {
        await using served = await kind.serve({ headers: { "X-One": "1", "X-Two": "2" } });
        await using raw = await RawSocket.connect(served.port);
        const own = `127.0.0.1:${served.port}`;
        const filled = Object.entries(headers).map(([header, value]) => [header, String(value).replace("HOST", own)]);
        raw.write(requestText(served.port, Object.fromEntries(filled), line));
        const { headers: answered, status } = await raw.answer(false);
        const names = ["sec-websocket-protocol", "sec-websocket-extensions", "x-one", "x-two"];
        assertEquals([status, ...names.map((header) => answered.get(header))], [101, "veltix.1", null, "1", "2"]);
        // The greeting of the server.
        await raw.until("the greeting", () => raw.frames.length > 0);
        assertEquals(raw.frames[0].opcode, 2);
      });
    }

    it("shows itself to authenticate: URL, headers and cookies", async () => {
      const seen: AuthenticateContext["request"][] = [];
      await using served = await kind.serve({}, {
        authenticate: ({ request }) => {
          seen.push(request);
          return true;
        },
      });
      await using relay = await relayTo(served.port, "Cookie: id=7; theme=dark\r\nX-Forwarded-For: 192.0.2.1\r\n");
      await using client = new Client({ url: `ws://127.0.0.1:${relay.port}/veltix?room=7&name=%C3%A4` });
      await client.connect();
      assertEquals(await client.request(UPPER, "a"), "A");
      const [request] = seen;
      assertEquals(request!.url.href, `http://127.0.0.1:${relay.port}/veltix?room=7&name=%C3%A4`);
      assertEquals(["sec-websocket-version", "x-forwarded-for"].map((name) => request!.headers.get(name)), [
        "13",
        "192.0.2.1",
      ]);
      assertEquals([...request!.cookies], [["id", "7"], ["theme", "dark"]]);
    });

    it("may be followed by frames at once", async () => {
      await using served = await kind.serve();
      await using raw = await RawSocket.connect(served.port);
      raw.write(join(utf8(requestText(served.port)), frame({ opcode: 9, content: utf8("early") })));
      assertEquals((await raw.answer(false)).status, 101);
      await raw.until("the pong", () => raw.frames.some(({ opcode }) => opcode === 10));
      assertEquals(raw.frames.find(({ opcode }) => opcode === 10)!.content, utf8("early"));
    });

    it("whose check of origins throws gets the status 500, and the server goes on", async () => {
      const failures: readonly [origins: OriginCheck, text: string][] = [
        [() => {
          throw new Error("no database");
        }, "Error: no database"],
        [(() => Promise.resolve(true)) as unknown as OriginCheck, "origins must return a boolean, and at once"],
        [(() => Promise.reject(new Error("late"))) as unknown as OriginCheck, "origins must return a boolean"],
      ];
      for (const [origins, text] of failures) {
        await using served = await kind.serve({ origins });
        const page = { Origin: "https://example.org" };
        const { body, status } = await ask(served, requestText(served.port, page));
        assertEquals([status, body], [500, "The origin could not be checked\n"]);
        const [{ error }] = await limited("the event rejected", LIMIT, served.events.next("rejected"));
        assertEquals(codeOf(error), "handshake-failed");
        assertStringIncludes(error.message, text);
        await using client = new Client({ url: served.url });
        await client.connect();
        assertEquals(await client.request(UPPER, "a"), "A");
      }
    });
  });
}

describe("the origins of pages", () => {
  const SAME = undefined;
  const LIST = ["https://example.org", "http://localhost:5173"];
  const only: OriginCheck = (origin, { url }) => origin === "null" && url.searchParams.get("key") === "7";
  const table: readonly [
    origins: WebSocketServerOptions["origins"],
    origin: string | readonly string[],
    host: string,
    allowed: boolean,
    line?: string,
  ][] = [
    [SAME, "http://example.org", "example.org", true],
    [SAME, "http://example.org:80", "example.org", true],
    [SAME, "http://example.org", "example.org:80", true],
    [SAME, "https://example.org", "example.org", true],
    // The proxy that has taken TLS off passes the port on.
    [SAME, "https://example.org", "example.org:443", true],
    [SAME, "https://example.org:8443", "example.org:8443", true],
    [SAME, "http://EXAMPLE.ORG", "Example.Org", true],
    [SAME, "http://[::1]:8080", "[::1]:8080", true],
    [SAME, "http://[0:0::1]:8080", "[::1]:8080", true],
    [SAME, "http://example.org:8080", "example.org", false],
    [SAME, "http://example.org", "example.org:8080", false],
    [SAME, "http://sub.example.org", "example.org", false],
    [SAME, "http://example.org.evil.test", "example.org", false],
    [SAME, "http://evil.test", "example.org", false],
    [SAME, "null", "null", false],
    [SAME, "", "example.org", false],
    [SAME, "example.org", "example.org", false],
    [SAME, "app://example.org", "example.org", false],
    [SAME, ["http://example.org", "http://example.org"], "example.org", false],
    [LIST, "https://example.org", "other.test", true],
    [LIST, "HTTPS://Example.org", "other.test", true],
    [LIST, "https://example.org:443", "other.test", true],
    [LIST, "http://localhost:5173", "other.test", true],
    [LIST, "http://example.org", "other.test", false],
    [LIST, "https://example.org:8443", "other.test", false],
    [LIST, "http://other.test", "other.test", false],
    [LIST, "null", "other.test", false],
    [[], "http://other.test", "other.test", false],
    ["*", "https://evil.test", "other.test", true],
    ["*", "null", "other.test", true],
    [only, "null", "other.test", true, "GET /veltix?key=7 HTTP/1.1"],
    [only, "null", "other.test", false],
    [only, "https://example.org", "other.test", false, "GET /veltix?key=7 HTTP/1.1"],
  ];
  it("are allowed as the option says", async () => {
    for (const [origins, origin, host, allowed, line] of table) {
      await using served = await LISTENER.serve(origins === undefined ? {} : { origins });
      await using raw = await RawSocket.connect(served.port);
      raw.write(requestText(served.port, { Host: host, Origin: origin }, line));
      const { status } = await raw.answer(false);
      assertEquals(status, allowed ? 101 : 403, `${JSON.stringify(origins)}: ${origin} at ${host}`);
    }
  });

  it("must be https: where the request came over TLS", async () => {
    await using served = await HTTPS.serve();
    for (const [scheme, status] of [["https", 101], ["http", 403]] as const) {
      await using raw = await RawSocket.connect(served.port, {});
      raw.write(requestText(served.port, { Origin: `${scheme}://127.0.0.1:${served.port}` }));
      assertEquals((await raw.answer(false)).status, status);
    }
  });
});

describe("a listener for WebSockets", () => {
  it("answers a browser that visits it, in words", async () => {
    await using served = await LISTENER.serve();
    for (const [path, status] of [["/veltix", 426], ["/", 404]] as const) {
      const response = await fetch(`http://127.0.0.1:${served.port}${path}`);
      assertEquals([response.status, (await response.text()).length > 10], [status, true]);
      const [{ error, reason }] = await served.events.next("rejected");
      assert(error instanceof ConnectionError);
      assertEquals([error.code, reason], ["closed", "peer-closed"]);
      assertStringIncludes(error.message, `it sent GET ${path}, and asked for no WebSocket`);
    }
  });

  const garbage: readonly [name: string, bytes: string, status: number][] = [
    ["garbage", "hello\r\n\r\n", 400],
    ["a hello of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400],
    ["64 KiB of headers", `GET /veltix HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(65_536)}\r\n\r\n`, 431],
    ["an endless line", `GET /${"x".repeat(65_536)}`, 431],
    ["a colon too few", "GET /veltix HTTP/1.1\r\nHost\r\n\r\n", 400],
    ["a CONNECT", "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n", 404],
  ];
  for (const [name, bytes, status] of garbage) {
    it(`answers ${name} with the status ${status}, and closes`, async () => {
      await using served = await LISTENER.serve();
      await using raw = await RawSocket.connect(served.port);
      raw.write(bytes);
      const { headers, status: got } = await raw.answer();
      assertEquals([got, headers.get("connection")], [status, "close"]);
      await raw.over();
      const [{ error }] = await served.events.next("rejected");
      assert(error instanceof HandshakeError || error instanceof ConnectionError);
    });
  }

  it("counts requests that do not come as handshakes, and ends them in time, with the status 408", async () => {
    await using served = await LISTENER.serve({}, { handshakeTimeout: 300 });
    const half = "GET /veltix HTTP/1.1\r\nHost: a\r\n";
    const sockets = await Promise.all(["", "G", half, half].map(async (text) => {
      const raw = await RawSocket.connect(served.port);
      raw.write(text);
      return raw;
    }));
    const answers = await Promise.all(sockets.map((raw) => raw.answer()));
    assertEquals(answers.map(({ status }) => status), [408, 408, 408, 408]);
    await Promise.all(sockets.map((raw) => raw.over()));
    const errors = await Promise.all(sockets.map(() => served.events.next("rejected")));
    for (const [{ error }] of errors) {
      assertEquals(codeOf(error), "handshake-timeout");
      assertStringIncludes(error.message, "a WebSocket, or TLS or encryption for it, was not agreed on within 300 ms");
    }
    for (const raw of sockets) await raw[Symbol.asyncDispose]();
    assertEquals(served.server.stats().pendingHandshakes, 0);
  });

  it("gives way among them as among other handshakes, and lets others in", async () => {
    await using served = await LISTENER.serve({}, { maxPendingHandshakes: 4 });
    const sockets: RawSocket[] = [];
    for (let i = 0; i < 10; i++) sockets.push(await RawSocket.connect(served.port));
    await using client = new Client({ url: served.url });
    await client.connect();
    assertEquals(await client.request(UPPER, "a"), "A");
    // The client had to take the place of one of them.
    assert(served.server.stats().pendingHandshakes <= 4);
    for (const raw of sockets) await raw[Symbol.asyncDispose]();
  });

  it("closes requests that have not come when it closes, and does not wait for them", async () => {
    const served = await LISTENER.serve();
    const sockets = await Promise.all(["", "GET /veltix HTTP/1.1\r\n"].map(async (text) => {
      const raw = await RawSocket.connect(served.port);
      raw.write(text);
      return raw;
    }));
    await using client = new Client({ url: served.url });
    await client.connect();
    await limited("closed", LIMIT, served.server.close());
    for (const raw of sockets) {
      await raw.over();
      await raw[Symbol.asyncDispose]();
    }
  });

  it("tells a client of bare sockets what it is", async () => {
    await using served = await LISTENER.serve({}, { handshakeTimeout: 300 });
    await using client = new Client({ port: served.port });
    const error = await client.connect().then(() => undefined, (error) => error);
    assertEquals(codeOf(error), "handshake-failed");
    assertStringIncludes(error.message, 'an HTTP answer, "HTTP/1.1 408 Request Timeout"');
  });

  it("tells a client that the server is full within the WebSocket, with when to try again", async () => {
    await using served = await LISTENER.serve({}, { maxConnections: 1 });
    await using first = new Client({ url: served.url });
    await first.connect();
    await using second = new Client({ url: served.url });
    const error = await second.connect().then(() => undefined, (error) => error);
    assert(error instanceof HandshakeError);
    assertEquals([error.code, error.refusal?.retryAfter], ["too-many-connections", 1_000]);
  });

  it("shows the request through the encryption, too", async () => {
    const identity = await Identity.generate();
    const seen: AuthenticateContext["request"][] = [];
    await using served = await LISTENER.serve({}, {
      encryption: { identity },
      authenticate: ({ request }) => {
        seen.push(request);
        return true;
      },
    });
    await using client = new Client({ url: `${served.url}?a=b`, encryption: { trust: identity.publicKey } });
    await client.connect();
    assertEquals(await client.request(UPPER, "a"), "A");
    assertEquals([client.security, seen[0]?.url.search], ["noise", "?a=b"]);
  });
});

describe("the cookies of a request", () => {
  it("are by name, not decoded, and the first of several counts", () => {
    const cookie = 'id=1; name=%C3%A4; id=2; quoted="a b"; empty=; =nameless; flag; __proto__=x';
    const { cookies } = new ReceivedRequest("GET", "/", new Headers({ cookie }), false);
    assertEquals([...cookies], [
      ["id", "1"],
      ["name", "%C3%A4"],
      ["quoted", "a b"],
      ["empty", ""],
      ["__proto__", "x"],
    ]);
    assertEquals([...new ReceivedRequest("GET", "/", new Headers(), false).cookies], []);
  });
});

// Its only use is that the runtimes differ in what they know of their sockets.
describe(`webSocketHandler on ${RUNTIME}`, () => {
  for (const kind of KINDS) {
    it(`knows the address of a client of ${kind.name}`, async () => {
      await using served = await kind.serve();
      await using client = new Client({ url: served.url });
      await client.connect();
      const [{ address }] = await served.events.next("connect");
      assertEquals(address.hostname, "127.0.0.1");
      assert(address.port > 0);
    });
  }
});
