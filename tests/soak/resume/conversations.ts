/**
 * A server and its clients, each client over a cable of its own, that talk both ways for as long as the cables are cut: the
 * processes, and the check that nothing was lost, came twice or out of order.
 *
 * @module
 */

import {
  Client,
  type ClientConfig,
  type ConnectedClient,
  type LimitOptions,
  Server,
  type ServerConfig,
  type ServerResumeOptions,
  type TcpEndpoint,
} from "@veltix/core";
import type { RuntimeName } from "../../../scripts/runtimes.ts";
import { type Commands, play } from "../../processes/role.ts";
import { until } from "../../processes/waiting.ts";
import { clientProtection, type Protection, serverProtection } from "../attacks/protection.ts";
import { sharedNow } from "../figures.ts";
import type { Child } from "../processes.ts";
import type { Context } from "../scenario.ts";
import { Cable, type CableLink } from "./cable.ts";
import type { Arrivals } from "./serials.ts";
import { ASK, HELLO, MESSAGE, type Sent, STREAM, takeStream, type Talk, Talker } from "./talker.ts";

/** What protects connections. Over Noise, messages are compressed, too, and have metadata. */
export type Kind = "plain" | "tls" | "noise";
/** All of them. */
export const KINDS: readonly Kind[] = ["noise", "tls", "plain"];

/** How long what is on its way may take at the end, in milliseconds. */
const LAST = 30_000;
/** Little, so that both sides have their turns. */
const WATER = 64 * 1024;

/** The conversations to have. */
export interface ConversationsConfig {
  readonly kinds: readonly Kind[];
  /** How many clients there are of each kind. */
  readonly clients: number;
  readonly talk: Omit<Talk, "lane" | "meta">;
  readonly resume?: ServerResumeOptions;
  /** The limits of the server. */
  readonly limits?: LimitOptions;
  /** The runtime of the clients of a kind. @default that of the server */
  readonly runtime?: (kind: Kind) => RuntimeName | undefined;
  /** Called with each new connection of a lane. */
  readonly link?: (link: CableLink, lane: number) => void;
  /** Returns the last number of the address that a connection comes from. */
  readonly from?: () => number;
}

/** What one side tells of its sessions. */
export interface Story {
  readonly connects: number;
  readonly suspended: number;
  readonly resumed: number;
  /** The reasons of all ends. */
  readonly disconnects: readonly string[];
  readonly errors: readonly string[];
  readonly replayedBytes: number;
  /** When sessions were resumed, by `sharedNow`, with the lane on the client's side. */
  readonly returns: readonly (readonly [number, number])[];
  /** Why sessions were suspended, with their number. */
  readonly reasons: Readonly<Record<string, number>>;
}

/** What came of all of it. */
export interface Outcome extends Arrivals {
  readonly asked: number;
  readonly answered: number;
  readonly wrong: number;
  readonly streams: number;
  readonly different: number;
  readonly resumed: number;
  readonly replayedBytes: number;
  /** How many requests could not be sent. */
  readonly skipped: number;
}

/** How far they are. */
interface Progress {
  /** How many messages and requests came. */
  readonly came: number;
  /** How many sessions are over. */
  readonly ended: number;
}

/** The conversations, seen from the process that cuts. */
export class Conversations {
  readonly server: Child;
  /** One process for each kind. */
  readonly clients: readonly Child[];
  /** One for each client, those of the first kind first. */
  readonly cables: readonly Cable[];
  readonly #context: Context;
  readonly #config: ConversationsConfig;

  private constructor(
    server: Child,
    clients: readonly Child[],
    cables: readonly Cable[],
    context: Context,
    config: ConversationsConfig,
  ) {
    this.server = server;
    this.clients = clients;
    this.cables = cables;
    this.#context = context;
    this.#config = config;
  }

  /** Begins them. */
  static async start(context: Context, config: ConversationsConfig): Promise<Conversations> {
    const { start } = context;
    const { kinds, clients: each, talk, resume = {}, limits = {}, runtime, link, from } = config;
    const server = await start(import.meta.url, "server", { kinds, resume, limits });
    const ports = server.told as number[];
    const cables: Cable[] = [];
    for (let lane = 0; lane < kinds.length * each; lane++) {
      const target = ports[Math.floor(lane / each)];
      cables.push(await Cable.listen({ target, link: (carried) => link?.(carried, lane), from }));
    }
    const clients = await Promise.all(kinds.map((kind, i) => {
      const talks = Array.from(
        { length: each },
        (_, j): Talk => ({ ...talk, lane: i * each + j, meta: kind === "noise" }),
      );
      const own = cables.slice(i * each, (i + 1) * each).map(({ port }) => port);
      return start(import.meta.url, "clients", { kind, ports: own, talks, buffer: resume.buffer }, runtime?.(kind));
    }));
    await Promise.all(clients.map((child) => child.call("begin")));
    return new Conversations(server, clients, cables, context, config);
  }

  /** The kind of a lane. */
  kindOf(lane: number): Kind {
    const { kinds, clients } = this.#config;
    return kinds[Math.floor(lane / clients)];
  }

  /** Over both sides. */
  async progress(): Promise<Progress> {
    const all = await Promise.all([this.server, ...this.clients].map((child) => child.call<Progress>("progress")));
    return {
      came: all.reduce((sum, { came }) => sum + came, 0),
      ended: all.reduce((sum, { ended }) => sum + ended, 0),
    };
  }

  /** What the server and the clients tell. */
  async stories(): Promise<{ server: Story; clients: Story[] }> {
    const [server, ...clients] = await Promise.all(
      [this.server, ...this.clients].map((child) => child.call<Story>("story")),
    );
    return { server, clients };
  }

  /** Ends them, and checks that all have heard everything. `what` is for the failures. */
  async finish(what: string): Promise<Outcome> {
    const { verdict } = this.#context;
    const { kinds, clients: each } = this.#config;
    const [there, ...here] = await Promise.all(
      [this.server, ...this.clients].map((child) => child.call<Sent[]>("stop")),
    );
    const ours = here.flat();
    const [down, up] = await Promise.all([
      Promise.all(
        this.clients.map((child, i) => child.call<Arrivals[]>("arrivals", there.slice(i * each, (i + 1) * each))),
      ).then((all) => all.flat()),
      this.server.call<Arrivals[]>("arrivals", ours),
    ]);
    const { server, clients } = await this.stories();
    for (const cable of this.cables) cable.refuses = false;
    for (const child of [...this.clients, this.server]) await child.end();
    await Promise.all(this.cables.map((cable) => cable.close()));

    const lanes = kinds.flatMap((kind) => Array.from({ length: each }, () => kind));
    lanes.forEach((kind, lane) => {
      for (const [arrivals, sent, way] of [[up[lane], ours[lane], "up"], [down[lane], there[lane], "down"]] as const) {
        const { lost, twice, inversions, changed } = arrivals;
        const where = `${what}: ${kind} client ${lane}, ${way}`;
        verdict.check(lost === 0, `${where}: nothing is lost: ${lost} of ${sent.serials}`);
        verdict.check(twice === 0, `${where}: nothing comes twice: ${twice}`);
        verdict.check(inversions === 0, `${where}: the order holds: ${inversions} inversions`);
        verdict.check(changed === 0, `${where}: everything comes as it was sent: ${changed} did not`);
        verdict.check(
          sent.answered === sent.asked && sent.failed.length === 0,
          `${where}: all ${sent.asked} requests are answered: ${sent.answered}; ${sent.failed.length} failed, ` +
            `the first with ${sent.failed[0]}`,
        );
        verdict.check(sent.wrong === 0, `${where}: each gets its own answer: ${sent.wrong} did not`);
        verdict.check(
          sent.different === 0,
          `${where}: all ${sent.streams} streams are equal: ${sent.different} are not`,
        );
      }
    });
    const resumed = clients.reduce((sum, story) => sum + story.resumed, 0);
    const suspended = clients.reduce((sum, story) => sum + story.suspended, 0);
    verdict.check(resumed === suspended, `${what}: each suspended session comes back: ${resumed} of ${suspended}`);
    for (
      const [side, { disconnects, errors }] of [["server", server], ...clients.map((one) => ["client", one])] as [
        string,
        Story,
      ][]
    ) {
      verdict.check(
        disconnects.length === 0,
        `${what}: no session ends: ${side} ${disconnects.length}, ${disconnects[0]}`,
      );
      verdict.check(errors.length === 0, `${what}: nothing fails: ${side} ${errors.length}, ${errors[0]}`);
    }
    verdict.check(
      server.connects === lanes.length,
      `${what}: the server has ${lanes.length} sessions: ${server.connects}`,
    );
    const sum = (name: keyof Arrivals): number => [...up, ...down].reduce((total, one) => total + one[name], 0);
    const sumOf = (name: "asked" | "answered" | "wrong" | "streams" | "different"): number =>
      [...ours, ...there].reduce((total, one) => total + one[name], 0);
    return {
      came: sum("came"),
      lost: sum("lost"),
      twice: sum("twice"),
      inversions: sum("inversions"),
      changed: sum("changed"),
      asked: sumOf("asked"),
      answered: sumOf("answered"),
      wrong: sumOf("wrong"),
      streams: sumOf("streams"),
      different: sumOf("different"),
      resumed,
      replayedBytes: server.replayedBytes + clients.reduce((total, story) => total + story.replayedBytes, 0),
      skipped: [...ours, ...there].reduce((total, { skipped }) => total + skipped.length, 0),
    };
  }
}

/** What happens to sessions. */
class Diary {
  #connects = 0;
  #suspended = 0;
  #resumed = 0;
  #replayedBytes = 0;
  readonly #returns: [number, number][] = [];
  readonly #disconnects: string[] = [];
  readonly #errors: string[] = [];
  readonly #reasons: Record<string, number> = {};

  connected(): void {
    this.#connects++;
  }

  suspended(reason: string): void {
    this.#suspended++;
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
  }

  resumed(id: number, replayedBytes: number): void {
    this.#resumed++;
    this.#replayedBytes += replayedBytes;
    this.#returns.push([id, sharedNow()]);
  }

  disconnected(reason: string, error: unknown): void {
    this.#disconnects.push(`${reason}: ${error}`);
  }

  failed(error: unknown): void {
    this.#errors.push(String(error));
  }

  story(): Story {
    return {
      connects: this.#connects,
      suspended: this.#suspended,
      resumed: this.#resumed,
      disconnects: this.#disconnects,
      errors: this.#errors,
      replayedBytes: this.#replayedBytes,
      returns: this.#returns,
      reasons: this.#reasons,
    };
  }
}

/** The commands of those who talk. `talkers` returns one for each lane. */
function talking(talkers: () => readonly Talker[], diary: Diary): Omit<Commands, "close"> {
  return {
    progress: (): Progress => ({
      came: talkers().reduce((sum, { came }) => sum + came, 0),
      ended: diary.story().disconnects.length,
    }),
    stop: (): Promise<Sent[]> => Promise.all(talkers().map((talker) => talker.stop())),
    async arrivals(sent: readonly Sent[]): Promise<Arrivals[]> {
      const all = talkers();
      // What does not come is told by the counts.
      const whole = (talker: Talker, i: number): boolean => talker.came >= sent[i].serials - sent[i].skipped.length;
      await until("Everything arrives", LAST, () => all.every(whole)).catch(() => {});
      return all.map((talker, i) => talker.arrivals(sent[i]));
    },
    story: () => diary.story(),
  };
}

/** The protection of a kind. */
function protectionOf(kind: Kind): Protection | undefined {
  return kind === "noise" ? "encryption" : kind === "tls" ? "tls" : undefined;
}

interface ServeConfig {
  readonly kinds: readonly Kind[];
  readonly resume: ServerResumeOptions;
  readonly limits: LimitOptions;
}

async function serve({ kinds, resume, limits }: ServeConfig): Promise<Commands> {
  const diary = new Diary();
  const talkers: Talker[] = [];
  let closing = false;
  let accepted = 0;
  const servers = kinds.map((kind) => {
    const config: ServerConfig = {
      port: 0,
      hostname: "127.0.0.1",
      highWaterMark: WATER,
      compression: kind === "noise",
    };
    const server = new Server({ ...config, ...limits, ...serverProtection(protectionOf(kind)), resume });
    const byClient = new Map<ConnectedClient, Talker>();
    const of = (client: ConnectedClient): Talker => byClient.get(client)!;
    server.route(HELLO, ({ data }, client) => {
      const talker = talkers[data.lane] = new Talker(client, data, "server");
      byClient.set(client, talker);
      diary.connected();
      talker.start();
      return true;
    });
    server.route(MESSAGE, ({ data, meta }, client) => of(client).take(data, meta));
    server.route(ASK, ({ data }, client) => of(client).answer(data));
    server.stream(STREAM, takeStream);
    server.on("connect", () => void accepted++);
    server.on("suspended", (client, { reason }) => void (byClient.has(client) && diary.suspended(reason)));
    server.on("resumed", (client, { replayedBytes }) => {
      if (byClient.has(client)) diary.resumed(client.id, replayedBytes);
    });
    server.on("disconnect", (client, { reason, error }) => {
      if (!closing && byClient.has(client)) diary.disconnected(reason, error);
    });
    server.on("error", (error) => diary.failed(error));
    // Attempts are cut, too.
    server.on("rejected", () => {});
    return server;
  });
  for (const server of servers) await server.start();
  return {
    ...talking(() => talkers, diary),
    ready: servers.map((server) => (server.addresses[0] as TcpEndpoint).port),
    story(): Story {
      closing = true;
      return diary.story();
    },
    /** How many clients were let in, those of attempts that came too late included. */
    accepted: () => accepted,
    close: () => Promise.all(servers.map((server) => server.close())),
  };
}

interface ClientsConfig {
  readonly kind: Kind;
  /** One for each client. */
  readonly ports: readonly number[];
  readonly talks: readonly Talk[];
  readonly buffer?: number;
}

async function come({ kind, ports, talks, buffer }: ClientsConfig): Promise<Commands> {
  const diary = new Diary();
  const talkers: Talker[] = [];
  let closing = false;
  const clients = ports.map((port, i) => {
    const config: ClientConfig = { port, highWaterMark: WATER, compression: kind === "noise" };
    const client = new Client({
      ...config,
      ...clientProtection(protectionOf(kind)),
      reconnect: { delay: 50, maxDelay: 500 },
      resume: buffer === undefined ? true : { buffer },
    });
    const talker = new Talker(client, talks[i], "client");
    talkers.push(talker);
    client.route(MESSAGE, ({ data, meta }) => talker.take(data, meta));
    client.route(ASK, ({ data }) => talker.answer(data));
    client.stream(STREAM, takeStream);
    client.on("connect", () => diary.connected());
    client.on("suspended", ({ reason }) => diary.suspended(reason));
    client.on("resumed", ({ replayedBytes }) => diary.resumed(talks[i].lane, replayedBytes));
    client.on("disconnect", ({ reason, error }) => void (closing || diary.disconnected(reason, error)));
    client.on("error", (error) => diary.failed(error));
    return client;
  });
  await Promise.all(clients.map((client) => client.connect()));
  return {
    ...talking(() => talkers, diary),
    async begin(): Promise<void> {
      await Promise.all(clients.map((client, i) => client.request(HELLO, talks[i], { timeout: LAST })));
      for (const talker of talkers) talker.start();
    },
    story(): Story {
      closing = true;
      return diary.story();
    },
    close: () => Promise.all(clients.map((client) => client.close())),
  };
}

if (import.meta.main) await play({ server: serve, clients: come });
