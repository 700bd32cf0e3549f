/** The options of WebSockets on servers and of `webSocketHandler`, and what a program hears that gets them wrong. */

import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { Client, ConfigError, Server, type ServerConfig } from "../mod.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import { webSocketHandler } from "../src/auto/websocket.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { KINDS, LISTENER, RawSocket, requestText } from "./web_socket_support.ts";

/** Wrong options, and what is said about them without the name of the whole. */
const WRONG: readonly [options: object, message: string][] = [
  [{ paths: "/a" }, 'Unknown option "paths"'],
  [{ path: "a" }, 'path must be a path that begins with "/", without a query, not "a"'],
  [{ path: "" }, "path must be a path"],
  [{ path: "/a?b" }, "path must be a path"],
  [{ path: "/a b" }, "path must be a path"],
  [{ path: "/a#b" }, "path must be a path"],
  [{ path: ["/a"] }, "path must be a path"],
  [{ origins: "https://example.org" }, 'origins must be "*", an array of origins or a function'],
  [{ origins: true }, "origins must be"],
  [{ origins: ["example.org"] }, 'origins[0] must be an origin such as "https://example.org", without a path'],
  [{ origins: ["https://example.org/"] }, "origins[0] must be an origin"],
  [{ origins: ["https://example.org:443"] }, "origins[0] must be an origin"],
  [{ origins: ["https://example.org", "*"] }, "origins[1] must be an origin"],
  [{ origins: ["null"] }, "origins[0] must be an origin"],
  [{ headers: ["a"] }, "headers must be an object with texts, not an array"],
  [{ headers: { "a b": "c" } }, "headers has a name or a value that is no header"],
  [{ headers: { a: "b\r\nc: d" } }, "headers has a name or a value that is no header"],
  [{ headers: { "Sec-WebSocket-Protocol": "a" } }, 'headers must not have "Sec-WebSocket-Protocol"'],
  [{ headers: { connection: "close" } }, 'headers must not have "connection"'],
];

describe("the option webSocket of a listener", () => {
  for (const [webSocket, message] of WRONG) {
    it(`is checked: ${JSON.stringify(webSocket)}`, () => {
      const error = assertThrows(() => new Server({ listen: [{}, { webSocket }] } as ServerConfig), TypeError) as Error;
      assertStringIncludes(error.message, message.replace(/^(?=path |origins|headers)/, "listen[1].webSocket."));
    });
  }

  it("goes without sockets of others, and not into the options of the server itself", () => {
    for (const transport of [memoryTransport(), "node", "deno"] as const) {
      assertThrows(() => new Server({ listen: [{ webSocket: true, transport }] }), ConfigError, "listen[0].webSocket");
    }
    assertThrows(() => new Server({ webSocket: true } as ServerConfig), TypeError, 'Unknown option "webSocket"');
  });

  it("may be false for bare sockets, and true for the path / alone", async () => {
    const server = new Server({ listen: [{ port: 0, hostname: "127.0.0.1", webSocket: true }] });
    await server.start();
    const { port } = server.addresses[0] as { port: number };
    for (const [path, status] of [["/", 101], ["/a", 404]] as const) {
      await using raw = await RawSocket.connect(port);
      raw.write(requestText(port, {}, `GET ${path} HTTP/1.1`));
      assertEquals((await raw.answer(false)).status, status);
    }
    await server.close({ drain: 0 });
    assertEquals(new Server({ listen: [{ webSocket: false }] }).addresses, []);
  });

  it("has a path as it is in URLs", async () => {
    for (const [path, url] of [["/ä", "/ä"], ["/%C3%A4", "/ä"], ["/a/../b", "/b"], ["/a|b", "/a|b"]]) {
      await using served = await LISTENER.serve({ path });
      await using client = new Client({ url: `ws://127.0.0.1:${served.port}${url}` });
      await client.connect();
    }
  });

  const denied = "Deno" in globalThis ? it : it.skip;
  denied("says which permission is missing on Deno", () => {
    const program = `
      import { Server } from "./mod.ts";
      const server = new Server({ listen: [{ port: 0, hostname: "127.0.0.1", webSocket: true }] });
      await server.start().then(() => server.close(), (error) => console.log(error.code, error.message));
    `;
    const run = (...flags: string[]): string => {
      const args = ["run", "--no-prompt", "--no-check", "--allow-net", ...flags, "-"];
      const { stderr, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, input: program, encoding: "utf8" });
      return stdout + stderr;
    };
    const said = run();
    assertStringIncludes(said, 'unsupported Cannot use WebSockets: the package "ws" may not be loaded: ');
    assertStringIncludes(said, 'Requires env access to "WS_NO_BUFFER_UTIL"');
    assertEquals(run("--allow-env=WS_NO_BUFFER_UTIL"), "");
  });
});

describe("webSocketHandler", () => {
  for (const [options, message] of WRONG) {
    it(`has its options checked: ${JSON.stringify(options)}`, () => {
      const error = assertThrows(() => webSocketHandler(new Server({ listen: [] }), options), TypeError) as Error;
      assertStringIncludes(error.message, message.replace(/^(?=path |origins|headers)/, "options."));
    });
  }

  it("has the options of accept() checked when it is made, not when a client comes", () => {
    const server = new Server({ listen: [] });
    for (
      const [options, message] of [
        [{ protocol: "9" }, "protocol"],
        [{ authenticate: true }, "options.authenticate must be a function"],
        [{ tls: {} }, 'Unknown option "tls": options has authenticate, encryption, headers, origins, path, protocol'],
      ] as const
    ) {
      const error = assertThrows(() => webSocketHandler(server, options as object)) as Error;
      assertStringIncludes(error.message, message);
    }
    webSocketHandler(server, { path: "/a", authenticate: () => undefined, protocol: "native" });
  });

  it("needs a server that accepts connections", () => {
    assertThrows(() => webSocketHandler(undefined as never), TypeError, "server must be a Server, not undefined");
    assertThrows(() => webSocketHandler({} as never), TypeError, "server.accept must be a function");
  });

  it("hands its connections to anything that accepts them, with the options that it does not know", async () => {
    const taken: unknown[] = [];
    const server = {
      accept: (connection: { abort(): void }, options?: { label: string }) => {
        taken.push(options);
        connection.abort();
      },
    };
    const { upgrade } = webSocketHandler(server, { label: "mine", path: "/veltix" });
    const { createServer } = await import("node:http");
    const http = createServer().on("upgrade", upgrade);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const { port } = http.address() as { port: number };
    await using raw = await RawSocket.connect(port);
    raw.write(requestText(port));
    assertEquals((await raw.answer(false)).status, 101);
    await raw.over();
    assertEquals(taken, [{ label: "mine" }]);
    http.close();
  });

  for (const kind of KINDS.filter(({ name }) => name !== "a listener")) {
    it(`cuts the WebSockets of ${kind.name} while the server does not run, and warns once`, async () => {
      await using served = await kind.serve();
      await served.server.close();
      const warnings: unknown[] = [];
      const { warn } = console;
      console.warn = (line) => void warnings.push(line);
      try {
        for (let i = 0; i < 2; i++) {
          await using client = new Client({ url: served.url, handshakeTimeout: 5_000 });
          await assertRejects(() => client.connect());
        }
      } finally {
        console.warn = warn;
      }
      assertEquals(warnings.length, 1);
      assertStringIncludes(String(warnings[0]), "the server does not run, await start() first");
      await served.server.start();
      await using client = new Client({ url: served.url });
      await client.connect();
    });
  }

  it("says what to use in place of fetch, or what fetch needs", () => {
    const { fetch } = webSocketHandler(new Server({ listen: [] }));
    const request = new Request("http://localhost/");
    if ("Bun" in globalThis) {
      assertThrows(() => fetch(request), TypeError, "context must be the server of Bun, the second parameter of fetch");
    } else if ("Deno" in globalThis) {
      assertEquals(fetch(request).status, 426);
    } else {
      const error = assertThrows(() => fetch(request));
      assertInstanceOf(error, ConfigError);
      assertStringIncludes((error as Error).message, 'server.on("upgrade", handler.upgrade)');
    }
  });
});
