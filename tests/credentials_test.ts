/** Credentials that are asked for anew, where they may go, and servers that are open to everybody. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  Client,
  type ClientConfig,
  ConfigError,
  ConnectionError,
  Server,
  type ServerConfig,
  type TcpEndpoint,
} from "../mod.ts";
import { Identity } from "@veltix/core/encryption";
import { SERVER as CERTIFICATE } from "./tls_support.ts";

const HOST = "127.0.0.1";
const identity = await Identity.generate();

async function serve(seen: unknown[]): Promise<Server<unknown>> {
  const server = new Server<unknown>({
    port: 0,
    hostname: HOST,
    authenticate: ({ credentials }) => seen.push(credentials),
  });
  await server.start();
  return server;
}

describe("credentials that are a function", () => {
  it("are asked for at each attempt", async () => {
    const seen: unknown[] = [];
    await using server = await serve(seen);
    const attempts: number[] = [];
    await using client = new Client({
      ...server.addresses[0] as TcpEndpoint,
      reconnect: { delay: 1, jitter: false },
      credentials: (attempt: number) => {
        attempts.push(attempt);
        return Promise.resolve(`token ${attempts.length}`);
      },
    });
    await client.connect();
    const again = new Promise((resolve) => client.on("connect", resolve, { once: true }));
    await server.restart({ drain: 0 });
    await again;
    assertEquals(seen[0], "token 1");
    assertEquals(seen.at(-1), `token ${attempts.length}`);
    assertEquals(attempts.slice(0, 2), [0, 1]);
  });

  it("that throw or reject end the attempt with what they threw", async () => {
    const seen: unknown[] = [];
    await using server = await serve(seen);
    for (
      const credentials of [() => Promise.reject(new Error("no token")), () => {
        throw new Error("no token");
      }]
    ) {
      await using client = new Client({ ...server.addresses[0] as TcpEndpoint, credentials });
      await assertRejects(() => client.connect(), Error, "no token");
    }
    assertEquals(seen, []);
  });

  it("that take too long end the attempt, too", async () => {
    await using server = await serve([]);
    await using client = new Client({
      ...server.addresses[0] as TcpEndpoint,
      handshakeTimeout: 50,
      credentials: () => new Promise(() => {}),
    });
    const { code } = await assertRejects(() => client.connect(), ConnectionError);
    assertEquals(code, "timed-out");
  });

  it("are given up with the attempt", async () => {
    await using server = await serve([]);
    const abort = new AbortController();
    await using client = new Client({
      ...server.addresses[0] as TcpEndpoint,
      credentials: () => {
        abort.abort(new Error("enough"));
        return new Promise(() => {});
      },
    });
    await assertRejects(() => client.connect({ signal: abort.signal }), Error, "enough");
  });

  it("that are too large are refused when they come", async () => {
    await using server = await serve([]);
    await using client = new Client({ ...server.addresses[0] as TcpEndpoint, credentials: () => "x".repeat(20_000) });
    await assertRejects(() => client.connect(), RangeError);
  });
});

describe("credentials", () => {
  const refused: readonly ClientConfig[] = [
    { hostname: "192.0.2.1" },
    { hostname: "example.org" },
    { hostname: "2001:db8::1" },
    { hostname: "localhost.example.org" },
    { hostname: "127.0.0.1.example.org" },
    { hostname: "127.999.1.1" },
    { hostname: "192.0.2.1", transport: "node" },
  ];
  for (const config of refused) {
    it(`do not go to ${config.hostname} in plain`, () => {
      for (const credentials of ["secret", () => "secret"]) {
        const error = assertThrows(() => new Client({ ...config, credentials }), ConfigError) as Error;
        assertStringIncludes(error.message, "insecureCredentials");
      }
    });
  }

  const allowed: readonly ClientConfig[] = [
    {},
    { hostname: "localhost" },
    { hostname: "127.3.2.1" },
    { hostname: "::1" },
    { hostname: "::ffff:127.0.0.1" },
    { path: "/tmp/veltix.sock" },
    { hostname: "192.0.2.1", insecureCredentials: true },
    { hostname: "192.0.2.1", tls: true },
    { hostname: "192.0.2.1", encryption: { trust: identity.publicKey } },
  ];
  for (const config of allowed) {
    it(`may go with ${JSON.stringify(config)}`, () => {
      new Client({ ...config, credentials: "secret" });
    });
  }
});

describe("a server that is open to other machines", () => {
  const cases: readonly [name: string, config: ServerConfig<unknown>, warned: boolean][] = [
    ["at every address", {}, true],
    ["at every address of IPv6", { hostname: "::" }, true],
    ["at this machine only", { hostname: HOST }, false],
    ["and asks who comes", { authenticate: () => "in" }, false],
    ["and encrypts", { encryption: { identity } }, false],
    ["over TLS", { tls: CERTIFICATE }, false],
    ["and means it", { quiet: true }, false],
    ["at one of two addresses", { port: undefined, listen: [{ port: 0, hostname: HOST }, { port: 0 }] }, true],
  ];
  for (const [name, config, warned] of cases) {
    it(`${name} ${warned ? "says so once" : "says nothing"}`, async () => {
      const lines: string[] = [];
      const logger = { warn: (line: string) => lines.push(line), error: (line: string) => lines.push(line) };
      await using server = new Server<unknown>({ port: 0, logger, ...config });
      try {
        await server.start();
      } catch (error) {
        if (config.hostname === "::") return;
        throw error;
      }
      assertEquals(lines.length, warned ? 1 : 0, lines.join());
      if (warned) assertStringIncludes(lines[0], "set encryption or tls, and authenticate, or quiet");
    });
  }
});
