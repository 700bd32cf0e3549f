/**
 * All attacks: what each does, what a server runs with meanwhile, and the most that the attackers can make it hold, by formula.
 *
 * @module
 */

import { type CloseReason, DEFAULT_LIMITS, type ServerConfig } from "@veltix/core";
import { askOnceEach, askWithoutReading, BUFFER_CODES, fillSlowHandlers, trickleCredit } from "./buffers.ts";
import { sendAllowedBombs, sendForbiddenBombs } from "./bombs.ts";
import { cutAfterEach, type CuttingServer, haunt } from "./ends.ts";
import { floodFrames, type FrameFlood, LARGE } from "./frames.ts";
import { attackHandshakes, type Progress } from "./handshake.ts";
import { floodPayloads } from "./log.ts";
import type { Protection } from "./protection.ts";
import { sleep } from "./raw_peer.ts";
import { fillWindows, floodStreams, type StreamFlood } from "./streams.ts";
import { SECURED_ATTACKS } from "./secured_catalogue.ts";
import { answerNothing, JSON_CODE, sendCredentials, sendGarbage, sendJson, sendNoise } from "./strangers.ts";

/** The code of what a hostile server sends. */
export const BAIT_CODE = 221;

/** What an attack is pointed at. */
export interface Target {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** For how long, in milliseconds. */
  readonly ms: number;
  /** Where everything random comes from. */
  readonly seed: number;
  /** The quick form. */
  readonly short: boolean;
}

/** What a server runs with. */
export interface Setting {
  /** Its options. */
  readonly config?: Omit<ServerConfig, "authenticate" | "logger">;
  /** Asks about everybody who comes with credentials, for longer than the attack lasts. */
  readonly authenticate?: boolean;
  /** What protects its connections, and those of the innocent. @default nothing */
  readonly protection?: Protection;
  /** The size of each broadcast, in bytes. @default 64 */
  readonly news?: number;
}

/** One way to attack. */
export interface Attack {
  /** Its name on the command line. */
  readonly name: string;
  /** What the attackers do. */
  readonly does: string;
  /** The most that they can make the server hold, in words. */
  readonly formula: string;
  /** The same in bytes. */
  most(short: boolean): number;
  /** What the server throws away so fast that no collector has begun when the attack ends, in bytes. @default 0 */
  garbage?(short: boolean): number;
  /** The most that may wait to be sent, in bytes, where that is another limit. */
  mostBuffered?(short: boolean): number;
  /** What the server runs with. @default its defaults */
  setting?(short: boolean): Setting;
  /** Honest clients 30 ms away that come meanwhile. @default one, on the same machine */
  readonly visitors?: number;
  /** The least time that it takes to show, in milliseconds. @default 0 */
  readonly atLeast?: number;
  /** Left out of the quick form: another shows the same there. */
  readonly fullOnly?: boolean;
  /** Why the server has to end connections, where it has to. */
  readonly ends?: CloseReason;
  /** Listens for a client that the server's process has, too. */
  trap?(): Promise<CuttingServer>;
  /** Attacks; tells what the attackers saw. */
  run(target: Target, trap?: CuttingServer): Promise<string>;
}

const MIB = 2 ** 20;
const { maxStreamBytes, maxStreams, maxTotalStreamBytes, streamWindow } = DEFAULT_LIMITS;
const { maxQueuedBytes, maxHandlerBytes, maxMessageSize, maxBufferedBytes, maxTotalBufferedBytes, highWaterMark } =
  DEFAULT_LIMITS;
/** What one connection reads at once at most, on any runtime, in bytes. */
const READ = MIB / 2;
/** The default of `maxPendingHandshakes`. */
const PENDING = 2_048;
/** What one answer of the attacked routes has, in bytes. */
const ANSWER = 10 * MIB;
/** In the quick form receivers fill less. Even so an innocent one may stand still for a second: a machine may be slow. */
const SMALL = { maxTotalBufferedBytes: 12 * MIB, maxBufferedBytes: 2 * MIB, highWaterMark: MIB / 2 } as const;

/** A limit that the innocent, who ping 50 times a second each, stay below. */
const RATE = { messages: 200, bytes: 40_000 } as const;

/** Frames that mean nothing are not kept. */
const nothing = (connections: number): Pick<Attack, "formula" | "most"> => ({
  formula: `${connections} × what is read at once (64 KiB; Bun 512 KiB)`,
  most: () => connections * READ,
});
/** A connection may send a thousand of them, and is ended then. */
const MEANINGLESS = { ends: "protocol-error" } as const;
/** Frames that are answered, by a peer that reads. */
const answered = (connections: number): Pick<Attack, "formula" | "most"> => ({
  formula: `${connections} × (\`maxQueuedBytes\` + \`highWaterMark\`)`,
  most: () => connections * (maxQueuedBytes + highWaterMark),
});

function frames(
  kind: FrameFlood,
  connections: number,
  does: string,
  bound: Pick<Attack, "formula" | "most">,
  more: Partial<Attack> = {},
): Attack {
  return {
    name: kind,
    does: `${connections} connections flood ${does}`,
    ...bound,
    async run({ port, ms }): Promise<string> {
      const { sent, let: entered, ended } = await floodFrames(kind, { port, connections, ms });
      return `${entered} let in, ${ended} ended, ${(sent / MIB).toFixed(0)} MiB taken`;
    },
    ...more,
  };
}

/** What the streams of so many connections hold, of all that is unread, and of answers and pieces that wait. */
const streamsOf = (connections: number, total: number = maxTotalStreamBytes): number =>
  Math.min(connections * Math.min(maxStreamBytes, maxStreams * streamWindow), total) + connections * 256 * 1_024;

function streams(kind: StreamFlood, does: string, more: Partial<Attack> = {}): Attack {
  return {
    name: `stream-${kind}`,
    does: `20 connections ${does}`,
    formula: "20 × (the lesser of `maxStreamBytes` and `maxStreams` × `streamWindow`, and 256 KiB)",
    most: () => streamsOf(20),
    run: ({ port, ms }) => floodStreams(kind, { port, ms, connections: 20 }),
    ...more,
  };
}

function handshakes(progress: Progress, more: Partial<Attack> = {}): Attack {
  return {
    name: `handshake ${progress}`.replaceAll(" ", "-"),
    does: `2,000 connections a second from 5 addresses that send ${progress === "silent" ? "nothing" : progress}`,
    formula: "`maxPendingHandshakes` × 16 KiB",
    most: () => PENDING * 16 * 1_024,
    visitors: 40,
    async run({ port, ms }): Promise<string> {
      const running = attackHandshakes({ port, rate: 2_000, addresses: 5, progress });
      await sleep(ms);
      const told = `${running.opened()} opened, ${running.open()} open at the end`;
      running.stop();
      return told;
    },
    ...more,
  };
}

/** See the module. */
export const ATTACKS: readonly Attack[] = [
  {
    name: "none",
    does: "nobody attacks: what the machine itself does",
    formula: "nothing",
    most: () => 0,
    async run({ ms }): Promise<string> {
      await sleep(ms);
      return "none";
    },
  },
  {
    name: "answers",
    does: "2 connections ask an asynchronous handler 100 times each for 10 MiB, and read nothing",
    formula: "2 × (`maxBufferedBytes` + one answer), and one answer of each handler that runs",
    most: () => 2 * (maxBufferedBytes + ANSWER) + 2 * ANSWER,
    mostBuffered: () => 2 * (maxBufferedBytes + ANSWER),
    run: askWithoutReading,
  },
  {
    name: "total-buffer",
    does: "48 connections ask once each for 10 MiB, and read nothing",
    formula: "`maxTotalBufferedBytes` + 48 × `highWaterMark`",
    most: () => maxTotalBufferedBytes + 48 * highWaterMark,
    mostBuffered: () => maxTotalBufferedBytes + 48 * highWaterMark,
    run: askOnceEach,
  },
  {
    name: "trickle",
    does: "20 connections grant credit for one broadcast a second",
    formula: "`maxTotalBufferedBytes` + 20 × `highWaterMark`",
    most: (short) => {
      const limits = short ? SMALL : DEFAULT_LIMITS;
      return limits.maxTotalBufferedBytes + 20 * limits.highWaterMark;
    },
    mostBuffered(short): number {
      return this.most(short);
    },
    setting: (short) => short ? { news: 4_096, config: SMALL } : { news: 16_384 },
    atLeast: 2_500,
    run: trickleCredit,
  },
  {
    name: "slow-handlers",
    does: "one connection sends 100 payloads of 9 MiB to a handler that takes its time",
    formula: "`maxHandlerBytes` + `maxQueuedBytes` + 2 × `maxMessageSize`",
    most: () => maxHandlerBytes + maxQueuedBytes + 2 * maxMessageSize,
    run: fillSlowHandlers,
  },
  handshakes("one byte"),
  handshakes("silent", { fullOnly: true }),
  handshakes("all but one byte", { fullOnly: true }),
  frames("cancel", 100, "CANCEL of nothing", nothing(100), MEANINGLESS),
  frames("credit", 20, "CREDIT of nothing", nothing(20), { ...MEANINGLESS, fullOnly: true }),
  frames("reply", 20, "replies to nothing", nothing(20), MEANINGLESS),
  frames("unknown", 20, "unknown system frames", nothing(20), { ...MEANINGLESS, fullOnly: true }),
  frames("ping", 20, "PINGs", answered(20)),
  frames("message", 20, "messages of one byte", answered(20)),
  frames("large", 200, "messages of 60 KiB", {
    formula: "200 × (a message and what is read at once: 64 KiB; Bun 512 KiB)",
    most: () => 200 * (LARGE + READ),
  }, { name: "message-large", fullOnly: true }),
  frames("request", 20, "requests of one byte", answered(20)),
  frames("checksum", 4, "frames with a wrong checksum, as Python peers", nothing(4)),
  frames("unknown", 4, "unknown system frames of a server with a `rateLimit`", nothing(4), {
    name: "rate-system",
    setting: () => ({ config: { rateLimit: { ...RATE, action: "throttle" } } }),
  }),
  frames("request", 4, "requests above a `rateLimit` that closes", answered(4), {
    name: "rate-close",
    ends: "rate-limited",
    setting: () => ({ config: { rateLimit: { ...RATE, action: "close" } } }),
  }),
  streams("cancel", "open streams and cancel them, in a row"),
  streams("pieces", "open streams and send 200 pieces of one byte on each"),
  streams("empty", "send empty pieces", { ends: "protocol-error", fullOnly: true }),
  streams("window", "grant more than a stream may be granted", { ends: "protocol-error", fullOnly: true }),
  streams("ended", "send STOP, and pieces after END", { ends: "protocol-error", fullOnly: true }),
  streams("max", "open more streams than they may"),
  {
    name: "stream-unread",
    does: "200 connections (quick: 40) that open all streams they may, fill the window of each, and nobody reads any",
    formula: "connections × (the lesser of `maxStreamBytes` and `maxStreams` × `streamWindow`), " +
      "at most `maxTotalStreamBytes`, and 256 KiB each",
    most: (short) => short ? streamsOf(40, 32 * MIB) : streamsOf(200),
    // In less than a second come 320 MiB, for a tenth of which there is room.
    garbage: (short) => short ? 96 * MIB : 0,
    setting: (short) => ({ config: short ? { maxTotalStreamBytes: 32 * MIB } : {} }),
    run: ({ ms, port, short }) => fillWindows({ port, ms, connections: short ? 40 : 200 }),
  },
  {
    name: "json",
    does: "10 connections send JSON with an escape: arrays in 16 KiB, and texts of 9 MiB",
    formula: "10 × (`maxQueuedBytes` + `maxMessageSize`)",
    most: () => 10 * (maxQueuedBytes + maxMessageSize),
    run: sendJson,
  },
  {
    name: "bombs",
    does: "10 connections send compressed payloads of 32 KiB that make 8 MiB, as many as they have credit for",
    // What was inflated is garbage as soon as its handler has ended, some 5 GB of it a second.
    formula: "10 × (`maxQueuedBytes` + two times `maxMessageSize`)",
    most: () => 10 * (maxQueuedBytes + 2 * maxMessageSize),
    setting: () => ({ config: { compression: true } }),
    run: sendAllowedBombs,
  },
  {
    name: "bombs-forbidden",
    does: "1,000 connections a second send 300 bytes that make 8 MiB, above the ratio that is allowed",
    ...nothing(20),
    ends: "protocol-error",
    setting: () => ({ config: { compression: true } }),
    run: sendForbiddenBombs,
  },
  {
    name: "credentials",
    does: "strangers with 16 KiB of credentials while `authenticate` takes its time, as many as there is room for",
    formula: "`maxPendingHandshakes` × (16 KiB + 16 KiB)",
    most: () => PENDING * 32 * 1_024,
    setting: () => ({ authenticate: true }),
    run: (target) => sendCredentials(target, target.short ? 1_000 : PENDING - 100),
  },
  {
    name: "garbage",
    does: "500 strangers a second that send what is no handshake",
    formula: "`maxPendingHandshakes` × 16 KiB",
    most: () => PENDING * 16 * 1_024,
    run: sendGarbage,
  },
  {
    name: "log",
    does: "2 connections send messages that are no JSON, with control characters in them, one after the other",
    formula: "2 × (`maxQueuedBytes` + `maxMessageSize`); the log 10 lines a second of each kind",
    most: () => 2 * (maxQueuedBytes + maxMessageSize),
    async run({ port, ms }): Promise<string> {
      const end = performance.now() + ms;
      let messages = 0;
      await Promise.all([1, 2].map(async () => {
        while (performance.now() < end) {
          const done = floodPayloads({ port, code: JSON_CODE, messages: 2_000 });
          messages += await Promise.race([done, sleep(end - performance.now()).then(() => 0)]);
          await sleep(1);
        }
      }));
      return `${messages} messages`;
    },
  },
  {
    name: "ghosts",
    does: "20 connections say GOAWAY while a request of theirs is not answered, stay, and go on asking",
    ...answered(20),
    async run({ port, ms }): Promise<string> {
      const code = BUFFER_CODES.slow;
      const { let: entered, ended, longest } = await haunt({
        port,
        connections: 20,
        ms,
        code,
        asks: true,
        drain: 60_000,
      });
      return `${entered} let in, ${ended} ended, the longest stayed for ${(longest / 1_000).toFixed(1)} s`;
    },
  },
  {
    name: "no-answers",
    does: "a Python peer has the server ask it 20,000 times a second, and answers nothing",
    formula: "16,384 requests × 1 KiB",
    most: () => 16 * MIB,
    run: answerNothing,
  },
  {
    name: "trap",
    does: "a server ends every connection of its client after a message of 4 MiB, while the client's loop takes none",
    formula: "`maxQueuedBytes` + 2 × `maxMessageSize`",
    most: () => maxQueuedBytes + 2 * maxMessageSize,
    atLeast: 3_000,
    trap: () => cutAfterEach(BAIT_CODE, 4 * MIB, 60),
    async run({ ms }, trap): Promise<string> {
      await sleep(ms);
      const { cut } = trap!;
      await trap![Symbol.asyncDispose]();
      return `${cut} connections cut`;
    },
  },
  {
    name: "noise",
    does: "20 connections that are let in and send random bytes, and 20 that begin so",
    formula: "40 × (`maxQueuedBytes` + `maxMessageSize`)",
    most: () => 40 * (maxQueuedBytes + maxMessageSize),
    run: sendNoise,
  },
  ...SECURED_ATTACKS,
];
