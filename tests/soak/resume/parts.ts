/**
 * What rarely happens by chance, each part by itself: attempts that cross, that come too late, sessions that are cut before
 * anything was said, many comebacks of one session, old connections that end last, a server that stands still, large messages
 * that meet, many who only come to leave, and a server that is full.
 *
 * @module
 */

import { sleep, until } from "../../processes/waiting.ts";
import { Random } from "../../wire_support.ts";
import { count, mib, ms, quantile, sharedNow } from "../figures.ts";
import type { Child } from "../processes.ts";
import type { Context } from "../scenario.ts";
import { Cable, type CableLink } from "./cable.ts";
import { Conversations, type ConversationsConfig, type Kind, KINDS, type Outcome } from "./conversations.ts";
import type { Counts, CrowdConfig, CrowdServerConfig } from "./crowd.ts";

/** The file of the roles of crowds. */
const CROWD = new URL("./crowd.ts", import.meta.url).href;

/** The turn of a client, from 1, in which it sends message 2. */
const ANSWERS: Readonly<Record<Kind, number>> = { plain: 1, noise: 2, tls: 3 };
/** How long a comeback over loopback should take, in milliseconds. */
const GOAL = 5;
/** The size of a header, in bytes. */
const HEADER = 16;
/** A conversation that goes on for as long as it is let. */
const TALK = { messages: 1, streams: 1, streamBytes: 2 ** 18, pause: 2, asks: 10 } as const;

/** A client gives an attempt up after two seconds. The server still knows it when it goes on later. */
const HELD = { resume: { keep: 8_000 }, limits: { handshakeTimeout: 30_000 } } as const;

/** The connections of all lanes: what is done with each is a script of its lane. */
class Script {
  /** What is done with the next connection of a lane; once. */
  readonly next = new Map<number, (link: CableLink) => void>();
  readonly link = (link: CableLink, lane: number): void => {
    const step = this.next.get(lane);
    this.next.delete(lane);
    step?.(link);
  };

  /** Resolves with the next connection of a lane, after something was done with it. */
  comes(lane: number, step: (link: CableLink) => void = () => {}): Promise<CableLink> {
    return new Promise((resolve) => {
      this.next.set(lane, (link) => {
        step(link);
        resolve(link);
      });
    });
  }
}

/** Starts conversations of all kinds; in the short form of one. */
function talk(
  context: Context,
  kind: Kind,
  clients: number,
  config: Partial<ConversationsConfig>,
): Promise<Conversations> {
  const [kinds, each] = context.short ? [[kind], 2] : [KINDS, clients];
  return Conversations.start(context, { kinds, clients: each, talk: TALK, ...config });
}

/** Tells whether the client of a lane has come back so many times. */
async function returned(conversations: Conversations, lane: number, times: number): Promise<void> {
  await until(`Lane ${lane} comes back for the ${times}th time`, 60_000, async () => {
    const { clients } = await conversations.stories();
    return clients.flatMap(({ returns }) => returns).filter(([of]) => of === lane).length >= times;
  }, 25);
}

function told({ came, asked, streams, resumed }: Outcome): string {
  return `${count(came)} messages, ${count(asked)} requests, ${streams} streams, ${count(resumed)} comebacks`;
}

/** Both attempts are under way at once: the first one's message 2 was held up, and arrives beside the second one's. */
export async function cross(context: Context): Promise<string> {
  const rounds = context.short ? 1 : 10;
  const script = new Script();
  const conversations = await talk(context, "noise", 3, { ...HELD, link: script.link });
  await Promise.all(conversations.cables.map(async (cable, lane) => {
    const answer = ANSWERS[conversations.kindOf(lane)];
    for (let round = 0; round < rounds; round++) {
      const held = script.comes(lane, (link) => link.beforeTurn(answer, () => link.hold()));
      cable.newest!.cut("reset");
      const first = await held;
      await script.comes(lane, (link) => {
        link.beforeTurn(answer, () => {
          // The one or the other arrives first.
          if (round % 3 !== 1) first.release();
          else setTimeout(() => first.release(), 0);
        });
      });
      await returned(conversations, lane, round + 1);
      if (round % 2 === 0) first.end("reset");
    }
  }));
  return told(await conversations.finish("cross"));
}

/** An attempt arrives after the next one has brought the session back: it is somebody new, and disturbs nobody. */
export async function overtaken(context: Context): Promise<string> {
  const rounds = context.short ? 1 : 10;
  const script = new Script();
  const conversations = await talk(context, "tls", 3, { ...HELD, link: script.link });
  const { cables, server } = conversations;
  await Promise.all(cables.map(async (cable, lane) => {
    const answer = ANSWERS[conversations.kindOf(lane)];
    for (let round = 0; round < rounds; round++) {
      const held = script.comes(lane, (link) => link.beforeTurn(answer, () => link.hold()));
      cable.newest!.cut("reset");
      const first = await held;
      const second = await script.comes(lane);
      await returned(conversations, lane, round + 1);
      const { down } = first;
      first.release();
      await until("The late attempt is let in", 10_000, () => first.down > down);
      context.verdict.check(!second.ended, "overtaken: the connection that is in use stays");
      first.end("reset");
    }
  }));
  const strangers = await server.call<number>("accepted") - cables.length;
  const expected = rounds * cables.length;
  context.verdict.check(strangers === expected, `overtaken: all ${expected} late attempts are let in: ${strangers}`);
  return `${told(await conversations.finish("overtaken"))}, ${strangers} attempts came too late`;
}

/** Each session is cut before anything was said on it, several times in a row. */
export async function unspoken(context: Context): Promise<string> {
  const kinds: readonly Kind[] = context.short ? ["plain"] : KINDS;
  const clients = context.short ? 4 : 20;
  const cuts = 3;
  const done = new Map<number, number>();
  const conversations = await Conversations.start(context, {
    kinds,
    clients,
    talk: { ...TALK, pause: context.short ? 20 : 100 },
    limits: HELD.limits,
    link(link, lane): void {
      const before = done.get(lane) ?? 0;
      if (before === cuts) return;
      done.set(lane, before + 1);
      // The turn after the answer begins with ACK 0; nothing of it arrives.
      const turn = ANSWERS[kinds[Math.floor(lane / clients)]] + 1;
      link.beforeTurn(turn, () => link.cut(lane % 2 === 0 ? "reset" : "finish"));
    },
  });
  await sleep(context.short ? 200 : 2_000);
  const outcome = await conversations.finish("unspoken");
  const expected = kinds.length * clients * cuts;
  context.verdict.check(outcome.resumed >= expected, `unspoken: ${expected} comebacks: ${outcome.resumed}`);
  return `${kinds.length * clients} sessions cut ${cuts} times: ${told(outcome)}`;
}

/** One session comes back again and again. Also tells how long a comeback takes from its connection on. */
export async function hundreds(context: Context): Promise<string> {
  const times = context.short ? 10 : 400;
  const random = new Random(context.seed);
  const came: number[][] = KINDS.map(() => []);
  let going = true;
  const cut = (link: CableLink): void =>
    void setTimeout(() => {
      const way = random.below(2) === 0 ? "up" : "down";
      const fate = random.below(2) === 0 ? "reset" : "finish";
      if (going) link.before(way, link[way] + random.below(1_000), () => going && link.cut(fate));
    }, 20 + random.below(20));
  const conversations = await Conversations.start(context, {
    kinds: KINDS,
    clients: 1,
    talk: { ...TALK, pause: 5 },
    link(link, lane): void {
      came[lane].push(sharedNow());
      if (going && came[lane].length > 1) cut(link);
    },
  });
  for (const cable of conversations.cables) cut(cable.newest!);
  await until(`${times} comebacks of each`, 300_000, async () => {
    const { clients } = await conversations.stories();
    return clients.every(({ resumed }) => resumed >= times);
  }, 100);
  going = false;
  await sleep(500);
  const { clients } = await conversations.stories();
  const took = KINDS.map((_, lane) =>
    clients[lane].returns.map(([, at]) => at - Math.max(...came[lane].filter((time) => time < at)))
  );
  const outcome = await conversations.finish("hundreds");
  const each = KINDS.map((kind, lane) =>
    `${kind} ${ms(quantile(took[lane], 0.5))}, p99 ${ms(quantile(took[lane], 0.99))}`
  );
  return `${told(outcome)}; from the connection to resumed, over a proxy: ${each.join("; ")}`;
}

/** A dead connection is told so long after its successor was cut, too. */
export async function oldLinks(context: Context): Promise<string> {
  const script = new Script();
  const limits = { writeTimeout: 3_000, heartbeat: { idle: 1_000, timeout: 2_000 } };
  const conversations = await talk(context, "plain", 6, { limits, link: script.link });
  await Promise.all(conversations.cables.map(async (cable, lane) => {
    const first = cable.newest!;
    const came = script.comes(lane);
    first.cut(lane % 2 === 0 ? "hole" : "stall", 60_000);
    const second = await came;
    await returned(conversations, lane, 1);
    const next = script.comes(lane);
    second.cut("reset");
    const third = await next;
    await returned(conversations, lane, 2);
    // Whatever the first one was waiting for is over by then.
    await sleep(context.short ? 1_000 : 8_000);
    first.end("reset");
    await sleep(context.short ? 200 : 1_000);
    context.verdict.check(!third.ended, "old links: the connection that is in use stays");
  }));
  const lanes = conversations.cables.length;
  const outcome = await conversations.finish("old links");
  context.verdict.check(outcome.resumed === 2 * lanes, `old links: ${2 * lanes} comebacks: ${outcome.resumed}`);
  return told(outcome);
}

/** The processes of a crowd. */
class Crowd {
  readonly server: Child;
  readonly crowds: readonly Child[];

  private constructor(server: Child, crowds: readonly Child[]) {
    this.server = server;
    this.crowds = crowds;
  }

  static async start(
    { start }: Context,
    config: CrowdServerConfig,
    sizes: readonly number[],
    over?: (port: number) => Promise<number>,
  ): Promise<Crowd> {
    const server = await start(CROWD, "server", config);
    const port = await over?.(server.told as number) ?? server.told as number;
    const { buffer } = config.resume;
    const crowds: Child[] = [];
    for (const clients of sizes) {
      crowds.push(await start(CROWD, "crowd", { port, clients, resume: { buffer } } satisfies CrowdConfig));
    }
    return new Crowd(server, crowds);
  }

  /** Cuts all connections, and lets none come back. */
  async suspend(cable: Cable, clients: number): Promise<void> {
    cable.refuses = true;
    for (const link of cable.links) link.cut("reset");
    await until("All are suspended", 30_000, async () => await this.suspended() === clients);
  }

  /** How many sessions wait. */
  async suspended(): Promise<number> {
    return (await this.server.call<{ suspended: number }>("stats")).suspended;
  }

  /** Lets all come back, and waits until they have. */
  async comeBack(cable: Cable, clients: number): Promise<void> {
    cable.refuses = false;
    await until("All come back", 60_000, async () => (await this.counts()).resumed >= clients, 50);
  }

  /** What all clients count. */
  async counts(): Promise<Counts> {
    const all = await Promise.all(this.crowds.map((crowd) => crowd.call<Counts>("counts")));
    const sum = (name: "suspended" | "resumed" | "answered" | "whole" | "broken"): number =>
      all.reduce((total, one) => total + one[name], 0);
    return {
      suspended: sum("suspended"),
      resumed: sum("resumed"),
      answered: sum("answered"),
      whole: sum("whole"),
      broken: sum("broken"),
      ends: all.flatMap(({ ends }) => ends),
      failed: all.flatMap(({ failed }) => failed),
    };
  }

  async end(): Promise<void> {
    for (const child of [...this.crowds, this.server]) await child.end();
  }
}

/** The server's process stands still while all of its clients wait for something: all stay on their connections. */
export async function still(context: Context): Promise<string> {
  const clients = context.short ? 200 : 1_000;
  const crowd = await Crowd.start(context, { resume: {} }, context.short ? [clients] : [clients / 2, clients / 2]);
  const { server, crowds } = crowd;
  await Promise.all(crowds.map((one) => one.call("steady", 100)));
  await sleep(1_000);
  server.stop();
  await sleep(3_000);
  server.go();
  await sleep(context.short ? 1_500 : 5_000);
  const asked = (await Promise.all(crowds.map((one) => one.call<number>("halt")))).reduce((sum, one) => sum + one, 0);
  const counts = await crowd.counts();
  const there = await server.call<Counts>("counts");
  await crowd.end();
  const { verdict } = context;
  const { suspended, ends, failed, answered } = counts;
  verdict.check(
    suspended === 0 && there.suspended === 0,
    `still: all ${clients} clients stay on their connections: ${suspended} and ${there.suspended} were suspended`,
  );
  verdict.check(ends.length === 0 && there.ends.length === 0, `still: none ends: ${ends.length}, ${ends[0]}`);
  verdict.check(answered === asked, `still: all ${asked} requests are answered: ${answered}, ${failed[0]}`);
  return `${count(clients)} clients, ${suspended} suspended, ${count(answered)} of ${count(asked)} requests answered`;
}

/** Two of the largest messages meet, each larger than what may be kept, with cuts in their midst. */
export async function large(context: Context): Promise<string> {
  const size = 10 * 2 ** 20 - HEADER;
  const rounds = context.short ? 1 : 10;
  const figures: string[] = [];
  for (const buffer of context.short ? [65_536] : [2 ** 20, 65_536]) {
    let cut = (_link: CableLink): void => {};
    let cable!: Cable;
    const crowd = await Crowd.start(context, { resume: { buffer } }, [1], async (target) => {
      cable = await Cable.listen({ target, link: (link) => cut(link) });
      return cable.port;
    });
    const { server, crowds: [client] } = crowd;
    const random = new Random(context.seed);
    const meet = async (round: number): Promise<void> => {
      await Promise.all([server.call("send", { size }), client.call("send", { size })]);
      await until(`Two large messages arrive at buffer ${buffer}`, 60_000, async () => {
        const [there, here] = await Promise.all([server.call<Counts>("counts"), crowd.counts()]);
        return there.whole + there.broken >= round && here.whole + here.broken >= round;
      });
    };
    await client.call("ask");
    for (let round = 1; round <= rounds; round++) await meet(round);
    // Again, and both are cut where they are.
    const starts = (link: CableLink): void => {
      const way = random.below(2) === 0 ? "up" : "down";
      link.before(way, link[way] + 2_000 + random.below(size), () => link.cut("reset"));
    };
    cut = starts;
    for (let round = rounds + 1; round <= 2 * rounds; round++) {
      starts(cable.newest!);
      await meet(round);
    }
    cut = (): void => {};
    // The session may have been cut when the last of it had arrived.
    await client.call("ask");
    const [there, here] = await Promise.all([server.call<Counts>("counts"), crowd.counts()]);
    await crowd.end();
    await cable.close();
    const { verdict } = context;
    const broken = there.broken + here.broken;
    verdict.check(broken === 0, `large, buffer ${buffer}: both arrive whole: ${broken} did not`);
    verdict.check(
      there.whole === 2 * rounds && here.whole === 2 * rounds,
      `large, buffer ${buffer}: each arrives once: ${there.whole} and ${here.whole} of ${2 * rounds}`,
    );
    const ends = [...there.ends, ...here.ends];
    verdict.check(ends.length === 0, `large, buffer ${buffer}: the session lives: ${ends}`);
    figures.push(`buffer ${count(buffer)}: ${there.whole} and ${here.whole} of 10 MiB, ${here.resumed} comebacks`);
  }
  return figures.join("; ");
}

/** Many connect and leave at once, beside sessions that wait: none of these has to go. */
export async function leavers(context: Context): Promise<string> {
  const [clients, leaving] = context.short ? [100, 500] : [1_000, 10_000];
  const { verdict } = context;
  let cable!: Cable;
  const config: CrowdServerConfig = { resume: { keep: 300_000, maxSuspended: clients + 24 } };
  const crowd = await Crowd.start(context, config, [clients], async (target) => {
    cable = await Cable.listen({ target });
    return cable.port;
  });
  const { server, crowds: [client] } = crowd;
  await client.call("ask");
  await crowd.suspend(cable, clients);
  const others = await context.start(CROWD, "leavers", { port: server.told as number });
  const start = performance.now();
  const [came, not] = await others.call<[number, number]>("leave", { count: leaving, besides: 100 });
  const seconds = (performance.now() - start) / 1_000;
  await others.kill();
  const left = await crowd.suspended();
  verdict.check(left === clients, `leavers: all ${clients} sessions are still there: ${left}`);
  verdict.check(came > leaving * 0.9, `leavers: most are let in: ${came} of ${leaving}`);
  await crowd.comeBack(cable, clients);
  await client.call("ask");
  const [there, here] = await Promise.all([server.call<Counts>("counts"), crowd.counts()]);
  await crowd.end();
  await cable.close();
  const ends = [...there.ends, ...here.ends];
  verdict.check(ends.length === 0, `leavers: none of them ends: ${ends.length}, ${ends[0]}`);
  verdict.check(here.answered === 2 * clients, `leavers: all are answered: ${here.answered}, ${here.failed[0]}`);
  return `${count(came)} let in and gone in ${
    seconds.toFixed(1)
  } s, ${not} not let in, ${left} of ${clients} sessions left`;
}

/** What sessions that wait take of the server's memory, with nothing for their clients and with as much as they may hold. */
export async function memory(context: Context): Promise<string> {
  const clients = context.short ? 64 : 1_024;
  const { verdict } = context;
  const figures: string[] = [];
  // The same bytes in one message, and in many small ones.
  for (const [size, times] of [[60_000, 1], [84, 600]]) {
    let cable!: Cable;
    const config: CrowdServerConfig = { resume: { keep: 300_000, buffer: 65_536 } };
    const crowd = await Crowd.start(context, config, [clients], async (target) => {
      cable = await Cable.listen({ target });
      return cable.port;
    });
    const { server, crowds: [client] } = crowd;
    await client.call("ask");
    const connected = await server.call<number>("memory");
    await crowd.suspend(cable, clients);
    const idle = await server.call<number>("memory");
    const sent = await server.call<number>("send", { size, times });
    const full = await server.call<number>("memory");
    // The bytes are counted every second.
    await sleep(1_100);
    const left = await crowd.suspended();
    verdict.check(left === clients, `memory: all ${clients} sessions are still there: ${left}`);
    await crowd.comeBack(cable, clients);
    await client.call("ask");
    const { whole, broken, ends } = await crowd.counts();
    await crowd.end();
    await cable.close();
    verdict.check(ends.length === 0, `memory: none of them ends: ${ends.length}, ${ends[0]}`);
    verdict.check(whole === sent && broken === 0, `memory: what waited arrives: ${whole} of ${sent}`);
    figures.push(
      `rss ${mib(connected)} with ${count(clients)} connected, ${mib(idle)} suspended, ` +
        `${mib(full)} with ${mib(sent * size)} for them in ${times} messages each`,
    );
  }
  return figures.join("; ");
}

/** How long a client takes to come back once its connection is there, without a proxy. */
export async function comeback(context: Context): Promise<string> {
  const server = await context.start(CROWD, "server", { resume: {} } satisfies CrowdServerConfig);
  const client = await context.start(CROWD, "comer", { port: server.told });
  const took = await client.call<number[]>("times", context.short ? 5 : 200);
  const ends = (await server.call<Counts>("counts")).ends.length;
  await client.end();
  await server.end();
  const middle = quantile(took, 0.5);
  context.verdict.check(ends === 0, `comeback: the session lives: ${ends} ends`);
  context.verdict.check(context.short || middle < GOAL, `comeback: the median is below ${GOAL} ms: ${ms(middle)}`);
  return `${took.length} comebacks, from the connection to resumed ${ms(middle)}, p99 ${ms(quantile(took, 0.99))}`;
}

/** A server that is full lets those come back who have a place, and nobody else in. */
export async function full(context: Context): Promise<string> {
  const [clients, rounds] = context.short ? [10, 1] : [10, 20];
  const { verdict } = context;
  let cable!: Cable;
  const config: CrowdServerConfig = { resume: { keep: 60_000 }, limits: { maxConnections: 2 * clients } };
  const crowd = await Crowd.start(context, config, [clients], async (target) => {
    cable = await Cable.listen({ target });
    return cable.port;
  });
  const { server, crowds: [client] } = crowd;
  const port = server.told as number;
  const others = await context.start(CROWD, "crowd", { port, clients } satisfies CrowdConfig);
  const strangers = await context.start(CROWD, "leavers", { port });
  await Promise.all([client.call("ask"), others.call("ask")]);
  let refused = 0;
  for (let round = 1; round <= rounds; round++) {
    cable.refuses = true;
    for (const link of cable.links) link.cut("reset");
    const [came, not] = await strangers.call<[number, number]>("leave", { count: 50, besides: 10 });
    verdict.check(came === 0, `full: nobody else is let in: ${came}`);
    refused += not;
    cable.refuses = false;
    await until("All come back", 60_000, async () => (await crowd.counts()).resumed >= round * clients, 25);
    await client.call("ask");
  }
  const [there, here] = await Promise.all([server.call<Counts>("counts"), crowd.counts()]);
  await strangers.kill();
  await others.end();
  await crowd.end();
  await cable.close();
  verdict.check(here.ends.length === 0, `full: none of them ends: ${here.ends}`);
  verdict.check(
    here.answered === (rounds + 1) * clients,
    `full: all are answered: ${here.answered}, ${here.failed[0]}`,
  );
  verdict.check(there.resumed === rounds * clients, `full: ${rounds * clients} comebacks: ${there.resumed}`);
  return `${here.resumed} comebacks to a full server, ${refused} others refused`;
}
