/**
 * The great load: cables are cut in every way while messages, requests and streams go both ways.
 *
 * @module
 */

import { RUNTIME_NAMES } from "../../../scripts/runtimes.ts";
import { sleep } from "../../processes/waiting.ts";
import { Random } from "../../wire_support.ts";
import { count, mib } from "../figures.ts";
import type { Context } from "../scenario.ts";
import { type Cable, type CableLink, type Fate, FATES, LOUD, SILENT } from "./cable.ts";
import { Conversations, type Kind, KINDS } from "./conversations.ts";

/** The longest life of a connection before it is to be cut, in milliseconds. */
const LIFE = 150;
/** A cut comes within so many bytes more. */
const NEAR = 3_000;
/** The size of a handshake, both directions together, with something of what follows. */
const HANDSHAKE: Readonly<Record<Kind, number>> = { plain: 1_200, tls: 4_500, noise: 1_800 };
/** One cut in so many is silent. */
const SILENT_SHARE = 6;
/** One connection in so many that follow a cut is cut in its handshake. */
const AGAIN = 3;
/** How long a silent end takes to become a real one, in milliseconds. */
const LINGER = 15_000;

/** How much. */
interface Size {
  readonly messages: number;
  readonly cuts: number;
  readonly clients: number;
  readonly streams: number;
  readonly streamBytes: number;
  readonly keep: number;
}

const FULL: Size = { messages: 11e6, cuts: 1_000, clients: 4, streams: 100, streamBytes: 2 ** 22, keep: 30_000 };
const SHORT: Size = { messages: 40_000, cuts: 25, clients: 2, streams: 6, streamBytes: 2 ** 18, keep: 8_000 };

/** Runs it. Returns its figures. */
export async function load(context: Context): Promise<string> {
  const { runtime, short, seed, verdict } = context;
  const { messages, cuts, clients, streams, streamBytes, keep } = short ? SHORT : FULL;
  const lanes = KINDS.length * clients;
  const cutter = new Cutter(new Random(seed), cuts, lanes, short);
  const kindOf = (lane: number): Kind => KINDS[Math.floor(lane / clients)];
  const random = new Random(seed + 1);
  const conversations = await Conversations.start(context, {
    kinds: KINDS,
    clients,
    talk: {
      messages: messages / lanes / 2,
      streams: Math.ceil(streams / lanes / 2),
      streamBytes,
      pause: short ? 4 : 0,
      asks: 10,
    },
    resume: { keep },
    // Over all three runtimes each kind meets each client once.
    runtime: (kind) => RUNTIME_NAMES[(RUNTIME_NAMES.indexOf(runtime) + KINDS.indexOf(kind)) % RUNTIME_NAMES.length],
    link: (link, lane) => cutter.take(link, lane, kindOf(lane)),
    from: () => 1 + random.below(200),
  });
  cutter.start(conversations.cables, kindOf);
  const start = performance.now();
  for (;;) {
    const { came, ended } = await conversations.progress();
    cutter.progress = came / messages;
    // A session that is over brings nothing more. What is wrong is told below.
    if (ended > 0 || cutter.done && came >= messages) break;
    await sleep(100);
  }
  cutter.stop();
  const seconds = (performance.now() - start) / 1_000;
  const outcome = await conversations.finish("load");
  verdict.check(outcome.streams >= streams, `load: ${streams} streams went through: ${outcome.streams}`);
  verdict.check(outcome.resumed >= cuts / 3, `load: sessions come back: ${outcome.resumed} times`);
  const { came, lost, twice, inversions, changed, asked, answered, wrong, different, resumed, replayedBytes } = outcome;
  return `${
    count(came)
  } messages and requests, ${lost} lost, ${twice} twice, ${inversions} inversions, ${changed} changed; ` +
    `${count(asked)} requests, ${count(answered)} answered, ${wrong} wrong, ${outcome.skipped} refused at once; ` +
    `${outcome.streams} streams both ways, ${different} different; ${cutter.figures()}; ` +
    `${count(resumed)} comebacks, ${mib(replayedBytes)} again, in ${seconds.toFixed(1)} s`;
}

/** Decides when and how cables are cut. */
class Cutter {
  /** How far the load is, from 0 to 1. */
  progress = 0;
  cuts = 0;
  readonly #random: Random;
  /** How many cuts each kind is to have, and by how many it may be ahead of the messages. */
  readonly #share: number;
  readonly #ahead: number;
  readonly #short: boolean;
  readonly #ways = new Map<Fate, number>();
  readonly #kinds = new Map<Kind, number>();
  /** Lanes of which the next connection is cut in its handshake. */
  readonly #again = new Set<number>();
  #early = 0;
  /** How many cuts were silent, in the short form. */
  #silent = 0;
  /** True while it may cut. */
  #cutting = false;

  constructor(random: Random, wanted: number, lanes: number, short: boolean) {
    this.#random = random;
    this.#share = Math.ceil(wanted / KINDS.length);
    this.#ahead = lanes / KINDS.length;
    this.#short = short;
  }

  /** True when each kind has had its share of the cuts. */
  get done(): boolean {
    return KINDS.every((kind) => this.#of(kind) >= this.#share);
  }

  /** Begins with the connections that are there. */
  start(cables: readonly Cable[], kind: (lane: number) => Kind): void {
    this.#cutting = true;
    cables.forEach(({ newest }, lane) => this.take(newest!, lane, kind(lane)));
  }

  /** Cuts no more. */
  stop(): void {
    this.#cutting = false;
  }

  /** How many connections were cut, and how. */
  figures(): string {
    const ways = FATES.map((fate) => `${this.#ways.get(fate) ?? 0} ${fate}`).join(", ");
    const kinds = KINDS.map((kind) => `${this.#of(kind)} ${kind}`).join(", ");
    return `${this.cuts} cuts (${kinds}; ${ways}), ${this.#early} of them early in a connection`;
  }

  /** Takes a new connection. */
  take(link: CableLink, lane: number, kind: Kind): void {
    const random = this.#random;
    if (!this.#cutting) return;
    const way = random.below(2) === 0 ? "up" : "down";
    if (this.#again.delete(lane)) {
      return link.before(way, random.below(HANDSHAKE[kind]), () => this.#cut(link, lane, kind, true));
    }
    const wait = (ms: number): void => {
      setTimeout(() => {
        if (!this.#cutting || link.ended) return;
        // Cuts and messages are to be done at the same time.
        if (this.#of(kind) > this.#share * Math.min(1, this.progress) + this.#ahead) return wait(LIFE);
        const at = link[way] + random.below(NEAR);
        link.before(way, at, () => this.#cut(link, lane, kind, false));
      }, ms);
    };
    wait(random.below(LIFE));
  }

  /** How many connections of a kind were cut. */
  #of(kind: Kind): number {
    return this.#kinds.get(kind) ?? 0;
  }

  #cut(link: CableLink, lane: number, kind: Kind, early: boolean): void {
    if (!this.#cutting || link.ended) return;
    const random = this.#random;
    // In the short form there is little time: each silent way comes once.
    const silent = this.#short ? !early && this.#silent < SILENT.length : random.below(SILENT_SHARE) === 0;
    const fate = !silent ? random.pick(LOUD) : this.#short ? SILENT[this.#silent++] : random.pick(SILENT);
    this.cuts++;
    this.#kinds.set(kind, this.#of(kind) + 1);
    this.#ways.set(fate, (this.#ways.get(fate) ?? 0) + 1);
    if (early) this.#early++;
    if (random.below(AGAIN) === 0) this.#again.add(lane);
    link.cut(fate, 1_000 + random.below(LINGER));
  }
}
