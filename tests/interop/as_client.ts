/**
 * Our client with a real Python server.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { Client, type ClientConfig, type ConnectInfo, HandshakeError, PayloadError } from "@veltix/core";
import { limited, until } from "../processes/waiting.ts";
import {
  assertLatency,
  bulk,
  type Check,
  ECHO,
  FLOOD,
  LIMIT,
  number,
  numberFrom,
  PRIVATE,
  SERIAL,
  Serials,
  settle,
  sizesFor,
  slowly,
  speechless,
  STRANGE,
  suited,
  tears,
  TEXT,
} from "./check.ts";
import { PythonPeer } from "./python_peer.ts";
import { announced, type Release } from "./releases.ts";

/** One Python server that checks share. */
export interface ServerContext {
  readonly release: Release;
  readonly server: PythonPeer;
  /** How many messages the bulk check sends each way. */
  readonly messages: number;
  /** What the clients called an error. */
  readonly errors: unknown[];
}

/** Starts the Python server that the checks share. */
export async function pythonServer(release: Release, messages: number): Promise<ServerContext & AsyncDisposable> {
  const server = await PythonPeer.start(release, "server", serverConfig(release));
  return { release, server, messages, errors: [], [Symbol.asyncDispose]: () => server.kill() };
}

/** What must work, in this order: the last but one may end the server. */
export const CLIENT_CHECKS: readonly Check<ServerContext>[] = [
  {
    name: "handshake",
    async run(context): Promise<void> {
      const { release, server } = context;
      const infos: ConnectInfo[] = [];
      const client = await connected(context, {}, (client) => client.on("connect", (info) => infos.push(info)));
      await using _ = client;
      assertEquals([infos.length, infos[0].protocol], [1, announced(release)]);
      assertEquals(client.stats().protocol, announced(release));
      await server.until("joined", ({ clients, joined }) => clients === 1 && joined >= 1);
    },
  },
  {
    name: "wrong version",
    async run({ release, server: { port } }): Promise<void> {
      await using client = new Client({
        port,
        handshakeTimeout: speechless(release) ? 400 : LIMIT,
        protocol: release.foreign ?? "auto",
      });
      const error = await assertRejects(() => client.connect());
      assertInstanceOf(error, HandshakeError);
      if (speechless(release)) assert(/"1\.[23]/.test(error.message), error.message);
      else {
        assertEquals(error.code, "version-mismatch");
        assert(error.message.includes(announced(release)), error.message);
        assert(error.message.includes(release.foreign!), error.message);
      }
    },
  },
  {
    name: "echo",
    async run(context): Promise<void> {
      const { release } = context;
      // Releases without a lock would answer a PING in the middle of 5 MiB: none is sent within 15 s.
      await using client = await connected(context, { heartbeat: {} });
      for (const size of sizesFor(release)) {
        const content = bulk(size);
        assertEquals(await client.request(ECHO, content, { timeout: LIMIT }), content, `${size} bytes`);
      }
      if (release.largest !== undefined) {
        await assertRejects(() => client.request(ECHO, bulk(release.largest! + 1)), PayloadError);
      }
    },
  },
  {
    name: "send_and_wait",
    async run(context): Promise<void> {
      const { server } = context;
      await using client = await alone(context, {}, (client) => client.route(ECHO, ({ data }) => data));
      for (let i = 0; i < 20; i++) {
        const text = `question ${i} ✓`;
        assertEquals(new TextDecoder().decode(await client.request(ECHO, new TextEncoder().encode(text))), text);
        assertEquals(await server.call("ask", { text }), text);
      }
    },
  },
  {
    name: "ping",
    async run(context): Promise<void> {
      const { server } = context;
      await using client = await alone(context);
      for (let i = 0; i < 5; i++) {
        assert(await client.ping() < LIMIT);
        assertLatency(await server.call("ping"));
      }
    },
  },
  {
    name: "broadcast",
    async run(context): Promise<void> {
      const { server } = context;
      const got: string[][] = [[], []];
      const join = (which: number): Promise<Client> =>
        connected(context, {}, (client) => client.route(TEXT, ({ data }) => void got[which].push(data)));
      await using _first = await join(0);
      await using _second = await join(1);
      await server.until("both joined", ({ clients }) => clients === 2);
      await server.call("broadcast", { text: "for one", except: 0 });
      await server.call("broadcast", { text: "for all" });
      await until("the broadcasts", LIMIT, () => got[0].length >= 1 && got[1].length >= 2);
      assertEquals(got, [["for all"], ["for one", "for all"]]);
    },
  },
  {
    name: "messages in order",
    async run(context): Promise<void> {
      const { release, server, messages } = context;
      const serials = new Serials();
      await using client = await connected(
        context,
        {},
        (client) => client.route(SERIAL, ({ data }) => serials.take(data)),
      );
      // Python reads some of ours and some of the next one's as one message where it does not frame.
      if (release.largest === undefined) {
        await number(client, messages, 64);
        const told = await server.until("all there", ({ serials }) => serials >= messages);
        assertEquals([told.serials, told.disordered, told.damaged], [messages, 0, 0]);
      } else {
        for (let i = 0; i < messages / 10; i++) await client.request(ECHO, bulk(i % 900));
      }
      await numberFrom(server, release, serials, messages);
    },
  },
  {
    name: "unknown type",
    async run(context): Promise<void> {
      const { release, server } = context;
      const unhandled: number[] = [];
      await using client = await alone(
        context,
        {},
        (client) => client.on("unhandled", ({ code }) => unhandled.push(code)),
      );
      client.send(STRANGE, bulk(100));
      await settle(release);
      await server.call("say", { code: PRIVATE, text: "strange to you" });
      assertEquals(await client.request(ECHO, bulk(10)), bulk(10));
      await until("the strange message", LIMIT, () => unhandled.length > 0);
      assertEquals(unhandled, [PRIVATE]);
    },
  },
  {
    name: "torn stream",
    concerns: tears,
    async run(context): Promise<void> {
      const { server, errors } = context;
      const serials = new Serials();
      const narrow = { maxQueuedMessages: 4 };
      {
        await using client = await connected(
          context,
          narrow,
          (client) => client.route(SERIAL, slowly(serials, server), { ordered: true }),
        );
        await Promise.all([
          server.call("number", FLOOD),
          until("all there", LIMIT, () => serials.count >= FLOOD.count),
        ]);
        assertEquals({ ...serials }, { count: FLOOD.count, disordered: 0, damaged: 0 });
        assert((client.stats().bytesSkipped ?? 0) > 0, "nothing was torn");
      }
      errors.length = 0;
      const reasons: string[] = [];
      await using client = await connected(context, { ...narrow, recovery: "close" }, (client) => {
        client.route(SERIAL, slowly(new Serials(), server), { ordered: true });
        client.on("disconnect", ({ reason }) => reasons.push(reason));
      });
      // Python fails to send the rest.
      const sending = server.call("number", FLOOD).catch(() => {});
      await limited("the end", LIMIT, client.closed);
      await sending;
      assert(["protocol-error", "message-too-large"].includes(reasons[0]), reasons[0]);
      assert(String(errors.at(-1)).includes('recovery: "resync"'), String(errors.at(-1)));
      errors.length = 0;
    },
  },
  {
    name: "our goodbye",
    async run(context): Promise<void> {
      const { release, server } = context;
      const client = await connected(context);
      const { left } = await server.until("joined", ({ clients }) => clients === 1);
      await client.close();
      const told = await server.until("alone", ({ clients }) => clients === 0);
      // The earliest release tells nobody.
      if (release.handshake !== "none") assertEquals(told.left, left + 1);
    },
  },
  {
    name: "their goodbye",
    async run(context): Promise<void> {
      const { release, server } = context;
      const reasons: string[] = [];
      const client = await alone(
        context,
        {},
        (client) => client.on("disconnect", ({ reason }) => reasons.push(reason)),
      );
      // It has read all that came, also the last word of the handshake.
      assertEquals(await client.request(ECHO, bulk(10)), bulk(10));
      if (release.clings) await server.kill();
      else await server.call("leave");
      await limited("the end", LIMIT, client.closed);
      // A process that ends takes down with it what it has not read.
      assert(reasons[0] === "peer-closed" || release.clings && reasons[0] === "network-error", reasons[0]);
    },
  },
  {
    name: "reconnect",
    async run({ release, messages, errors }): Promise<void> {
      const server = await PythonPeer.start(release, "server", serverConfig(release));
      const context = { release, messages, errors, server };
      const events: string[] = [];
      const reconnect = { delay: 50, maxDelay: 200 };
      await using client = await connected(context, { reconnect }, (client) => {
        client.on("connect", () => events.push("connect"));
        client.on("disconnect", ({ reason }) => events.push(reason));
      });
      await server.kill();
      await until("the loss is noticed", LIMIT, () => events.length > 1);
      assert(["peer-closed", "network-error"].includes(events[1]), events[1]);
      await using _again = await PythonPeer.start(release, "server", {
        ...serverConfig(release),
        port: server.port,
      });
      await until("connected again", LIMIT, () => events.at(-1) === "connect" && events.length > 2);
      assertEquals(await client.request(ECHO, bulk(100)), bulk(100));
    },
  },
];

/** A client that found out by itself whom it speaks to, where that can be found out. */
/** A client that is the server's only one: it may notice late that the last one left, and would ask that. */
async function alone(
  context: ServerContext,
  ...rest: [ClientConfig?, ((client: Client) => unknown)?]
): Promise<Client> {
  const client = await connected(context, ...rest);
  // The one client that the server knows may still be that of the check before.
  assertEquals(await client.request(ECHO, bulk(1)), bulk(1));
  await context.server.until("alone with it", ({ clients }) => clients === 1);
  return client;
}

async function connected(
  { release, server: { port }, errors }: ServerContext,
  config: ClientConfig = {},
  prepare: (client: Client) => unknown = () => {},
): Promise<Client> {
  const client = new Client({
    port,
    protocol: release.handshake === "none" ? release.name : "auto",
    ...suited(release),
    ...config,
  });
  client.on("error", (error) => errors.push(error));
  prepare(client);
  await client.connect();
  return client;
}

function serverConfig({ largest }: Release): Record<string, unknown> {
  return { bufferSize: largest === undefined ? 65_536 : undefined, handshakeTimeout: 2 };
}
