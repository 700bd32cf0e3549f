/**
 * Our server with real Python clients.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  Client,
  type CloseReason,
  type ConnectedClient,
  type RejectedInfo,
  Server,
  type ServerConfig,
  type TcpEndpoint,
} from "@veltix/core";
import { until } from "../processes/waiting.ts";
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

/** One server of ours, and two Python clients of it. */
export interface ClientsContext {
  readonly release: Release;
  readonly server: Server;
  readonly python: PythonPeer;
  /** The two as the server sees them. */
  readonly infos: readonly ConnectedClient[];
  /** What the server has got: numbered messages, codes without a handler, and ends. */
  readonly serials: Serials;
  readonly unhandled: number[];
  readonly ended: (readonly [ConnectedClient, CloseReason])[];
  /** How many messages the bulk check sends each way. */
  readonly messages: number;
  /** What the server called an error. */
  readonly errors: unknown[];
}

/** Starts both. */
export async function pythonClients(release: Release, messages: number): Promise<ClientsContext & AsyncDisposable> {
  const infos: ConnectedClient[] = [];
  const serials = new Serials();
  const unhandled: number[] = [];
  const ended: [ConnectedClient, CloseReason][] = [];
  const errors: unknown[] = [];
  const server = serving({ listen: [{ port: 0, hostname: "127.0.0.1", protocol: release.name }] }, release, errors);
  server.route(SERIAL, ({ data }) => serials.take(data));
  server.on("connect", (client) => infos.push(client));
  server.on("unhandled", ({ code }) => unhandled.push(code));
  server.on("disconnect", (client, { reason }) => ended.push([client, reason]));
  await server.start();
  let python: PythonPeer | undefined;
  const end = async (): Promise<void> => {
    await python?.kill();
    await server.close({ drain: 0 });
  };
  try {
    python = await PythonPeer.start(release, "clients", clientsConfig(release, server, 2));
    for (const which of [0, 1]) {
      assertEquals(await python.call("connect", { which }), true);
      await until("the client is there", LIMIT, () => infos.length > which);
    }
    return { release, server, python, infos, serials, unhandled, ended, messages, errors, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What must work, in this order: the last ones end the connections. */
export const SERVER_CHECKS: readonly Check<ClientsContext>[] = [
  {
    name: "handshake",
    run({ release, server, infos }): Promise<void> {
      assertEquals(infos.map(({ protocol }) => protocol), [announced(release), announced(release)]);
      assertEquals([...server.clients], infos);
      return Promise.resolve();
    },
  },
  {
    name: "wrong version",
    without: speechless,
    async run({ release }): Promise<void> {
      const rejected: RejectedInfo[] = [];
      await using server = new Server({
        port: 0,
        hostname: "127.0.0.1",
        protocol: release.foreign!,
        handshakeTimeout: 1_500,
      });
      server.on("rejected", (info) => rejected.push(info));
      await server.start();
      await using python = await PythonPeer.start(release, "clients", clientsConfig(release, server, 1));
      assertEquals(await python.call("connect"), release.pretends === true);
      await until("the server has turned it away", LIMIT, () => rejected.length > 0);
      const { message } = rejected[0].error as Error;
      assert(message.includes(`"${release.foreign}"`), message);
      assertEquals([...server.clients], []);
    },
  },
  {
    name: "echo",
    async run({ release, python }): Promise<void> {
      for (const size of sizesFor(release)) assertEquals([size, await python.call("echo", { size })], [size, true]);
    },
  },
  {
    name: "send_and_wait",
    async run({ python, infos: [info] }): Promise<void> {
      for (let i = 0; i < 20; i++) {
        const text = `question ${i} ✓`;
        assertEquals(await python.call("ask", { text }), text);
        assertEquals(new TextDecoder().decode(await info.request(ECHO, new TextEncoder().encode(text))), text);
      }
    },
  },
  {
    name: "ping",
    async run({ python, infos: [info] }): Promise<void> {
      for (let i = 0; i < 5; i++) {
        assert(await info.ping() < LIMIT);
        assertLatency(await python.call("ping"));
      }
    },
  },
  {
    name: "broadcast",
    async run({ server, python, infos: [first] }): Promise<void> {
      assertEquals(server.broadcast(TEXT, "for one", { except: [first] }).sent, 1);
      // Without framing two that come together would be one.
      await python.until("the first", ({ texts }) => texts.length === 1, 1);
      assertEquals(server.broadcast(TEXT, "for all").sent, 2);
      for (const [which, texts] of [["for all"], ["for one", "for all"]].entries()) {
        const told = await python.until("all there", (told) => told.texts.length >= texts.length, which);
        assertEquals(told.texts, texts);
      }
    },
  },
  {
    name: "messages in order",
    async run({ release, python, serials, infos: [info], messages }): Promise<void> {
      if (release.largest === undefined) {
        await number(info, messages, 64);
        const told = await python.until("all there", ({ serials }) => serials >= messages);
        assertEquals([told.serials, told.disordered, told.damaged], [messages, 0, 0]);
      } else {
        for (let i = 0; i < messages / 10; i++) await info.request(ECHO, bulk(i % 900));
      }
      await numberFrom(python, release, serials, messages);
    },
  },
  {
    name: "unknown type",
    async run({ release, python, infos: [info], unhandled }): Promise<void> {
      info.send(STRANGE, bulk(100));
      await settle(release);
      await python.call("say", { code: PRIVATE, text: "strange to you" });
      await until("the strange message", LIMIT, () => unhandled.length > 0);
      assertEquals(unhandled, [PRIVATE]);
      assertEquals(await info.request(ECHO, bulk(10)), bulk(10));
    },
  },
  {
    name: "torn stream",
    concerns: tears,
    async run({ release, errors }): Promise<void> {
      const serials = new Serials();
      await using server = serving(
        { port: 0, hostname: "127.0.0.1", protocol: release.name, maxQueuedMessages: 4 },
        release,
        errors,
      );
      await server.start();
      await using python = await PythonPeer.start(release, "clients", clientsConfig(release, server, 1));
      server.route(SERIAL, slowly(serials, python), { ordered: true });
      assertEquals(await python.call("connect"), true);
      await Promise.all([
        python.call("number", FLOOD),
        until("all there", LIMIT, () => serials.count >= FLOOD.count),
      ]);
      assertEquals({ ...serials }, { count: FLOOD.count, disordered: 0, damaged: 0 });
      assert(errors.length > 0, "nothing was torn");
    },
  },
  {
    name: "our goodbye",
    async run({ python, infos: [first], ended }): Promise<void> {
      await first.close();
      await python.until("told", ({ connected }) => !connected);
      assertEquals(ended, [[first, "manual"]]);
    },
  },
  {
    name: "their goodbye",
    async run({ server, python, infos: [, second], ended }): Promise<void> {
      await python.call("leave", { which: 1 });
      await until("the end", LIMIT, () => ended.length > 1);
      assertEquals(ended[1], [second, "peer-closed"]);
      assertEquals([...server.clients], []);
    },
  },
  {
    name: "reconnect",
    without: ({ retries }) => retries ? undefined : "its client does not",
    async run({ release, errors }): Promise<void> {
      let joined = 0;
      await using server = serving({ port: 0, hostname: "127.0.0.1", protocol: release.name }, release, errors);
      server.on("connect", () => joined++);
      await server.start();
      await using python = await PythonPeer.start(release, "clients", {
        ...clientsConfig(release, server, 1),
        retry: 20,
      });
      assertEquals(await python.call("connect"), true);
      await until("it is there", LIMIT, () => joined === 1);
      await server.restart({ drain: 100 });
      await until("back", LIMIT, () => joined > 1);
      await python.until("connected", ({ connected }) => connected);
      assertEquals(await python.call("ask", { text: "still there?" }), "still there?");
    },
  },
  {
    name: "chat",
    async run({ release, errors }): Promise<void> {
      await using server = serving(
        {
          listen: [
            { port: 0, hostname: "127.0.0.1", protocol: release.name },
            { port: 0, hostname: "127.0.0.1" },
          ],
        },
        release,
        errors,
      );
      server.route(TEXT, ({ data }, client) => {
        server.broadcast(TEXT, data, { except: [client] });
      });
      await server.start();
      const [, { port }] = server.addresses as readonly TcpEndpoint[];
      await using python = await PythonPeer.start(release, "clients", clientsConfig(release, server, 2));
      await using native = new Client({ port, protocol: "native" });
      const heard: string[] = [];
      native.route(TEXT, ({ data }) => void heard.push(data));
      await native.connect();
      for (const which of [0, 1]) assertEquals(await python.call("connect", { which }), true);
      await until("all there", LIMIT, () => server.clients.length === 3);
      // One after another: some releases lose what comes together.
      native.send(TEXT, "native");
      for (const which of [0, 1]) await python.until("greeted", ({ texts }) => texts.length === 1, which);
      for (const which of [0, 1]) {
        await python.call("say", { text: `python ${which}`, which });
        await until("passed on", LIMIT, () => heard.length > which);
      }
      const lines = [0, 1].map((which) => python.until("heard", ({ texts }) => texts.length === 2, which));
      const [first, second] = await Promise.all(lines);
      assertEquals([first.texts, second.texts], [["native", "python 1"], ["native", "python 0"]]);
      assertEquals(heard, ["python 0", "python 1"]);
    },
  },
];

/** A server that echoes, not started yet. */
function serving(config: ServerConfig, release: Release, errors: unknown[]): Server {
  const server = new Server({ ...suited(release), ...config });
  server.on("error", (error) => errors.push(error));
  server.route(ECHO, ({ data }) => data);
  return server;
}

function clientsConfig({ largest }: Release, server: Server, count: number): Record<string, unknown> {
  const [{ port }] = server.addresses as readonly TcpEndpoint[];
  return { port, count, bufferSize: largest === undefined ? 65_536 : undefined, handshakeTimeout: 1 };
}
