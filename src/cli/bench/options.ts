/**
 * The options of `veltix bench`, read.
 *
 * @module
 */

import type { Command } from "commander";
import { CommandError, ExitCode } from "../exit_codes.ts";
import { type TargetOptions, withConnection } from "../target.ts";
import type { FormNumbers, TransportChoice } from "./python_form/context.ts";

/** Python's five, in Python's order. */
export const FIVE = ["memory", "latency", "fps", "burst", "stress"] as const;

/** What can be measured of any server. */
export const TARGET = ["connect", "ping", "requests"] as const;

/** One of Python's five. */
export type FiveName = (typeof FIVE)[number];

/** Something that can be measured. */
export type BenchName = FiveName | (typeof TARGET)[number];

/** What was typed; numbers are read already. */
export interface BenchOptions extends TargetOptions {
  readonly only?: readonly string[] | undefined;
  readonly rounds?: number | undefined;
  readonly warmup?: number | undefined;
  readonly cooldown: number;
  readonly duration?: number | undefined;
  readonly connections: number;
  readonly inFlight?: number | undefined;
  readonly rate?: number | undefined;
  readonly sizes?: readonly number[] | undefined;
  readonly code?: number | undefined;
  readonly quick?: boolean | undefined;
  readonly save?: string | undefined;
  readonly compare?: readonly string[] | undefined;
  readonly transport: string;
  readonly latencyIterations?: number | undefined;
  readonly fpsPlayers?: number | undefined;
  readonly fpsTickRate?: number | undefined;
  readonly fpsDuration?: number | undefined;
  readonly burstCount?: number | undefined;
  readonly burstPayload?: number | undefined;
  readonly stressClients?: number | undefined;
  readonly stressMsgs?: number | undefined;
}

/** How to measure. Times are in milliseconds. */
export interface BenchPlan {
  readonly names: readonly BenchName[];
  /** Rounds of one of the five, and of something else. */
  readonly rounds: { readonly five: number; readonly target: number };
  /** Rounds of each before that, which do not count. */
  readonly warmup: number;
  /** The pause between rounds. */
  readonly cooldown: number;
  /** Of each round of what is measured of a server. */
  readonly duration: number;
  readonly connections: number;
  /** Pings under way on each connection, and requests. */
  readonly inFlight: { readonly ping: number; readonly requests: number };
  readonly rate: number | undefined;
  /** Bytes of requests. */
  readonly sizes: readonly number[];
  /** The code of requests; `undefined` without an address. */
  readonly code: number | undefined;
  /** The part of pings and games of the five that is measured. */
  readonly share: number;
  readonly numbers: FormNumbers;
  readonly transport: TransportChoice;
}

/** Options that say nothing with an address, and those that say nothing without one. */
const OWN_ONLY = [
  "transport",
  "latencyIterations",
  "fpsPlayers",
  "fpsTickRate",
  "fpsDuration",
  "burstCount",
  "burstPayload",
  "stressClients",
  "stressMsgs",
] as const;
const ADDRESS_ONLY = [
  "code",
  "protocol",
  "tls",
  "ca",
  "cert",
  "key",
  "serverName",
  "pin",
  "trust",
  "identity",
  "credentials",
  "insecureCredentials",
  "connectTimeout",
  "config",
] as const;

/** The longest round, in seconds. */
const MOST_SECONDS = 3_600;

/** The least payload of `burst`: serial numbers take so much. */
const LEAST_BURST = 4;

/** The largest payload: a message of 10 MiB is what Python takes, its header included. */
const MOST_BYTES = 10 * 1024 * 1024 - 64;

/** The most pings or messages of which each time is kept. */
const MOST_TIMES = 1_000_000;

const TRANSPORTS: readonly TransportChoice[] = ["auto", "deno", "bun", "node"];

/** Adds the argument and the options. */
export function withBenchOptions(command: Command): Command {
  return withConnection(command.argument("[address]", "a server: HOST:PORT, PORT, unix:PATH, ws://… or wss://…"))
    .option("--only <names...>", `measure only these: ${[...FIVE, ...TARGET].join(" ")}`)
    .option("--code <code>", "ask the server with this code, too, which it must answer", whole("--code", 200, 65_535))
    .option("--connections <n>", "connections at the same time", whole("--connections", 1, 10_000), 1)
    .option("--in-flight <n>", "pings or requests under way on each connection", whole("--in-flight", 1, 10_000))
    .option(
      "--rate <n>",
      "pings or requests a second, by a timetable (default: as many as go)",
      number("--rate", 0.1, 1e6),
    )
    .option("--size, --sizes <bytes>", "payloads of requests, separated by commas", sizes)
    .option("--duration <seconds>", "how long a round takes (default: 1)", number("--duration", 0.01, MOST_SECONDS))
    .option("--runs, --rounds <n>", "rounds of each (default: 5; of Python's five: 1)", whole("--rounds", 1, 1_000))
    .option("--warmup <n>", "rounds before that, which do not count (default: 1)", whole("--warmup", 0, 1_000))
    .option("--cooldown <seconds>", "the pause between rounds", number("--cooldown", 0, MOST_SECONDS), 0)
    .option("--quick", "one short round of each, to see whether it works")
    .option("--save <file>", "save the figures as JSON")
    .option("--compare <files...>", "compare with a saved run, or two saved runs with each other")
    .option("--transport <name>", "the sockets of both ends, without an address: auto, deno, bun or node", "auto")
    .option("--latency-iterations <n>", "latency: pings (default: 50000)", whole("--latency-iterations", 2, MOST_TIMES))
    .option(
      "--fps-players <n>",
      "fps: players (default: a game of 64, and one of 128)",
      whole("--fps-players", 1, 10_000),
    )
    .option(
      "--fps-tick-rate <hz>",
      "fps: ticks a second (default: 64, and 20 for 128 players)",
      number("--fps-tick-rate", 0.1, 1_000),
    )
    .option(
      "--fps-duration <seconds>",
      "fps: how long a game takes (default: 5)",
      number("--fps-duration", 0.2, MOST_SECONDS),
    )
    .option("--burst-count <n>", "burst: messages (default: 10000)", whole("--burst-count", 2, MOST_TIMES))
    .option(
      "--burst-payload <bytes>",
      "burst: size of a message (default: 64)",
      whole("--burst-payload", LEAST_BURST, MOST_BYTES),
    )
    .option("--stress-clients <n>", "stress: clients (default: 100)", whole("--stress-clients", 1, 10_000))
    .option("--stress-msgs <n>", "stress: messages of each client (default: 100)", whole("--stress-msgs", 1, 1e6));
}

/**
 * Returns what the options ask for.
 *
 * @param hasAddress True if a server is measured, false if the package measures itself.
 * @param isGiven Returns whether an option was typed.
 * @throws {CommandError} They do not go together.
 */
export function planOf(options: BenchOptions, hasAddress: boolean, isGiven: (name: string) => boolean): BenchPlan {
  const stray = (hasAddress ? OWN_ONLY : ADDRESS_ONLY).find(isGiven);
  if (stray !== undefined) {
    const flag = `--${stray.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw usage(`${flag} is for a run ${hasAddress ? "without" : "with"} the address of a server`);
  }
  const { code, fpsPlayers, fpsTickRate, inFlight, quick = false, rounds, transport } = options;
  const names = namesOf(options, hasAddress);
  const kind = TRANSPORTS.find((known) => known === transport);
  if (kind === undefined) throw usage(`"${transport}" is no transport: there are ${TRANSPORTS.join(", ")}`);
  const hasGame = fpsPlayers !== undefined || fpsTickRate !== undefined;
  return {
    names,
    rounds: { five: rounds ?? 1, target: rounds ?? (quick ? 1 : 5) },
    warmup: options.warmup ?? (quick ? 0 : 1),
    cooldown: 1000 * options.cooldown,
    duration: 1000 * (options.duration ?? (quick ? 0.2 : 1)),
    connections: options.connections,
    inFlight: { ping: inFlight ?? 1, requests: inFlight ?? (hasAddress ? 1 : 100) },
    rate: options.rate,
    sizes: options.sizes ?? (hasAddress ? [64] : [64, 1024, 65_536]),
    code,
    share: quick ? 0.1 : 1,
    numbers: {
      latencyIterations: options.latencyIterations,
      games: hasGame ? [{ players: fpsPlayers ?? 64, tickRate: fpsTickRate ?? 64 }] : undefined,
      fpsSeconds: options.fpsDuration,
      burstCount: options.burstCount,
      burstPayload: options.burstPayload,
      stressClients: options.stressClients,
      stressMessages: options.stressMsgs,
    },
    transport: kind,
  };
}

function namesOf({ code, only }: BenchOptions, hasAddress: boolean): readonly BenchName[] {
  const known: readonly BenchName[] = hasAddress ? TARGET : [...FIVE, ...TARGET];
  if (only === undefined) return known.filter((name) => name !== "requests" || !hasAddress || code !== undefined);
  const asked = only.flatMap((text) => text.split(",")).filter((text) => text !== "");
  for (const name of asked) {
    if ((known as readonly string[]).includes(name)) continue;
    const isOwn = (FIVE as readonly string[]).includes(name);
    const hint = isOwn ? "it is for a run without an address" : "write an address before --only";
    throw usage(`"${name}" cannot be measured here: there are ${known.join(", ")}; ${hint}`);
  }
  if (hasAddress && code === undefined && asked.includes("requests")) {
    throw usage("requests need --code with a code that the server answers");
  }
  return known.filter((name) => asked.includes(name));
}

function whole(flag: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw usage(`${flag} must be a whole number from ${least} to ${most}, not "${text}"`);
  };
}

function number(flag: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= least && value <= most) return value;
    throw usage(`${flag} must be a number from ${least} to ${most}, not "${text}"`);
  };
}

function sizes(text: string): readonly number[] {
  return [...new Set(text.split(",").map(whole("--sizes", 0, MOST_BYTES)))];
}

function usage(message: string): CommandError {
  return new CommandError(ExitCode.USAGE, message);
}
