/**
 * What pages and servers say to each other.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Identity } from "@veltix/core/encryption";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Checks, CLIENT_CHECKS, type Result, SERVER_CHECKS } from "../pairs/contract.ts";
import { serve } from "../pairs/server.ts";
import { limited } from "../processes/waiting.ts";
import { pair, pem } from "../tls_support.ts";
import type { Scenario } from "./scenario.ts";
import { type Stage, urlOf, type Way, WAYS } from "./stage.ts";
import { DOWNLOAD, noise, PIECE, type Sum, TYPES, UPLOAD } from "./types.ts";

const MIB = 1024 * 1024;
/** How long the server's part of the contract may take after the page's, in milliseconds. */
const END_LIMIT = 20_000;

/** Makes all checks of the contract in a page and at its server. */
async function agree(stage: Stage, way: Way, identity?: Identity): Promise<void> {
  await using page = await stage.open();
  const [here, there]: Result[][] = [[], []];
  const listening = Promise.withResolvers<number>();
  const server = stage.make(way, identity && { encryption: { identity } });
  const report = (result: Result): void => {
    here.push(result);
    if (result.port !== undefined) listening.resolve(result.port);
  };
  const serving = serve(new Checks(report), server).catch(() => listening.resolve(0));
  const port = await listening.promise;
  if (port !== 0) there.push(...await page.call("contract", urlOf(way, port), identity?.publicKey ?? null));
  const failed = [...there, ...here].find(({ ok }) => !ok);
  // A server whose client failed is never told to close.
  if (failed !== undefined) await server.close({ drain: 0 });
  assertEquals(failed, undefined);
  await limited("The end of the server", END_LIMIT, serving);
  const made: readonly (readonly string[])[] = [there, here].map((results) => results.map(({ check }) => check));
  assertEquals(made, [CLIENT_CHECKS, SERVER_CHECKS]);
}

/** Sets the routes of the messages and streams. */
function set(server: ReturnType<Stage["make"]>): void {
  server.route(TYPES.add, ({ data }) => data.a + data.b);
  server.stream(UPLOAD, async ({ readable }): Promise<Sum> => {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const piece of readable) {
      hash.update(piece);
      bytes += piece.length;
    }
    return { bytes, sha256: hash.digest("hex") };
  });
  server.stream(DOWNLOAD, async ({ head, writable }): Promise<Sum> => {
    const bytes = noise(head, 2);
    const writer = writable.getWriter();
    for (let from = 0; from < head; from += PIECE) await writer.write(bytes.subarray(from, from + PIECE));
    await writer.close();
    return { bytes: head, sha256: createHash("sha256").update(bytes).digest("hex") };
  });
}

/** Connects a page that is let in by nobody, and returns the error's name and code. */
async function refused(stage: Stage, url: string, more: object = {}): Promise<[string, string]> {
  await using page = await stage.open();
  const { name, code } = await page.call("refusal", { url, ...more });
  return [name, code];
}

/** The scenarios. */
export const TALK: readonly Scenario[] = [
  {
    name: "a page and a server agree on everything",
    ways: WAYS,
    quick: WAYS,
    run: (stage, way) => agree(stage, way),
  },
  {
    name: "a page and a server agree on everything with encryption, whose code comes when it is used",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      const loaded = (): boolean => stage.pages.asked.some((path) => path.startsWith("/encrypt-"));
      stage.pages.asked.length = 0;
      await using served = await stage.serve(way, {}, set);
      await using page = await stage.open();
      await page.call("connect", { url: served.url });
      assertEquals([await page.call("add", 1, 2), loaded()], [3, false]);
      const identity = await Identity.importKey(pem("server-identity.pem"));
      await using secret = await stage.serve(way, { encryption: { identity } }, set);
      await page.call("close");
      await page.call("connect", { url: secret.url, encryption: { trust: identity.publicKey } });
      assertEquals([await page.call("add", 1, 2), loaded()], [3, true]);
      const { security } = await page.call("report");
      assertEquals(security, "noise");
      await agree(stage, way, identity);
    },
  },
  {
    name: "16 MiB go up and down in streams as they are",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      await using served = await stage.serve(way, {}, set);
      await using page = await stage.open();
      await page.call("connect", { url: served.url });
      for (const call of ["upload", "download"] as const) {
        const { got, sent } = await page.call(call, 16 * MIB);
        assertEquals([sent.bytes, got], [16 * MIB, sent], call);
      }
    },
  },
  {
    name: "a broadcast reaches all pages but the one that is left out, and pages without a tag do not get what has it",
    ways: ["ws"],
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      await using served = await stage.serve(way, {}, set);
      const { server, url } = served;
      await using first = await stage.open();
      await using second = await stage.open();
      await first.call("connect", { url });
      const [one] = server.clients;
      await second.call("connect", { url });
      const two = server.clients.find((client) => client !== one)!;
      two.addTag("red");
      assertEquals(server.broadcast(TYPES.news, "all").sent, 2);
      assertEquals(server.broadcast(TYPES.news, "the second", { except: [one] }).sent, 1);
      assertEquals(server.broadcast(TYPES.news, "the red ones", { to: { tag: "red" } }).sent, 1);
      assertEquals(server.broadcast(TYPES.news, "all again").sent, 2);
      for (
        const [page, news] of [[first, ["all", "all again"]], [second, [
          "all",
          "the second",
          "the red ones",
          "all again",
        ]]] as const
      ) {
        const heard: string[] = [];
        for (let i = 0; i < news.length; i++) heard.push(await page.call("news"));
        assertEquals(heard, [...news]);
      }
    },
  },
  {
    name: "of messages with latest a busy page gets the newest only, and the last one always",
    ways: ["ws"],
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      await using served = await stage.serve(way, {}, set);
      const { server, url } = served;
      await using page = await stage.open();
      await page.call("connect", { url });
      const [client] = server.clients;
      // The page takes none of these until it is told to, so what comes after them waits.
      await page.call("hold");
      const block = new Uint8Array(MIB);
      for (let i = 0; i < 4; i++) client.send(TYPES.slow, block);
      for (let i = 1; i <= 1_000; i++) client.send(TYPES.position, i, { latest: "here" });
      client.send(TYPES.news, "done");
      await page.call("release");
      assertEquals(await page.call("news"), "done");
      const { positions } = await page.call("report");
      assertEquals(positions.at(-1), 1_000);
      assertEquals(positions.length + client.stats().replaced, 1_000);
      assert(client.stats().replaced > 500, `${client.stats().replaced} were replaced`);
    },
  },
  {
    name: "what keeps a page from connecting is an error that says so",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      const identity = await Identity.importKey(pem("server-identity.pem"));
      const stranger = await Identity.generate();
      await using served = await stage.serve(way, { authenticate: () => false }, set);
      await using secret = await stage.serve(way, { encryption: { identity } }, set);
      await using http = await httpServer();
      // A page is not told why a WebSocket cannot be opened, so neither is its program.
      const unknown = ["ConnectionError", "network-error"];
      assertEquals(await refused(stage, served.url), ["HandshakeError", "unauthorized"]);
      assertEquals(await refused(stage, `${served.url}nothing-is-here`), unknown);
      assertEquals(await refused(stage, http.url), unknown);
      const trust = stranger.publicKey;
      assertEquals(await refused(stage, secret.url, { encryption: { trust } }), [
        "HandshakeError",
        "identity-mismatch",
      ]);
      assertEquals(await refused(stage, secret.url), ["HandshakeError", "encryption-required"]);
      if (way === "wss") {
        assertEquals(await refused(stage, served.url, { tls: { serverName: "localhost" } }), [
          "ConfigError",
          "unsupported",
        ]);
      }
      // Firefox takes any certificate here, and Chromium those with one key.
      if (way === "wss" && stage.name === "chromium") {
        await using stranger = await stage.serve(way, { tls: pair("renewed") }, set);
        assertEquals(await refused(stage, stranger.url), unknown);
      }
      await served.server.close();
      assertEquals(await refused(stage, served.url), unknown);
    },
  },
  {
    name: "pages of another origin are refused",
    ways: ["ws"],
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      const origins = ["http://example.org"];
      const listener = { hostname: "127.0.0.1", port: 0, webSocket: { origins } };
      await using served = await stage.serve(way, { listen: [listener] }, set);
      assertEquals(await refused(stage, served.url), ["ConnectionError", "network-error"]);
      assertEquals(served.server.clients, []);
    },
  },
];

/** Starts an HTTP server that has no WebSockets. */
async function httpServer(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((_, response) => void response.end("Hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: urlOf("ws", (server.address() as AddressInfo).port),
    async [Symbol.asyncDispose](): Promise<void> {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}
