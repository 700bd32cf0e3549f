/**
 * The innocent clients of a server that is attacked, as a process: one of each kind of peer. They ping it steadily, count its
 * broadcasts, and bring others along.
 *
 * @module
 */

import { bytes, Client, type ClientConfig, messageType } from "@veltix/core";
import type { Commands } from "../../processes/role.ts";
import { sleep } from "../../processes/waiting.ts";
import { median, quantile } from "../figures.ts";
import { NEWS_CODE } from "./attacked.ts";
import { countLetIn } from "./handshake.ts";
import { clientProtection, type Protection } from "./protection.ts";

/** What became of them. */
export interface Innocence {
  /** How many they are. */
  readonly clients: number;
  /** Why connections ended that should not have. */
  readonly ended: readonly string[];
  /** Broadcasts that arrived, over all. */
  readonly got: number;
  /** Whether they arrived in order, without any missing in between. */
  readonly inOrder: boolean;
  /** Pings sent. */
  readonly pings: number;
  /** Those that were never answered. */
  readonly unanswered: number;
  /** How long a ping took, in milliseconds. */
  readonly p50: number;
  /** What 99 of 100 did not exceed. */
  readonly p99: number;
  /** The longest. */
  readonly max: number;
}

/** One of them pings every so many milliseconds. */
const PACE = 10;
/** How long a ping may take, in milliseconds: longer than a stall that is to be seen. */
const PING_TIMEOUT = 30_000;
/** How long the last broadcasts and answers may take, in milliseconds. */
const LAST = 10_000;
/** How long an answer takes to visitors and back, in milliseconds. */
const ROUND_TRIP = 30;

/** A native peer and one that speaks as Python does. */
const KINDS: readonly Partial<ClientConfig>[] = [{ protocol: "native" }, { protocol: "2.0" }];
const SILENT = { warn(): void {}, error(): void {} };

/** Plays them all. */
export function beInnocent(): Commands {
  let group: Group | undefined;
  return {
    async join({ port, protection }: { port: number; protection?: Protection }): Promise<void> {
      group = new Group(port, protection);
      await group.join();
    },
    begin: () => group!.begin(),
    visit: (visitors: number | undefined) => group!.visit(visitors),
    leave: (sent: number) => group!.leave(sent),
    close(): void {},
  };
}

/** Those at one server. */
class Group {
  readonly #port: number;
  readonly #common: ClientConfig;
  readonly #clients: Client[];
  readonly #got: number[] = KINDS.map(() => 0);
  readonly #delays: number[] = [];
  readonly #ended: string[] = [];
  #inOrder = true;
  #pings = 0;
  #timer: ReturnType<typeof setInterval> | undefined = undefined;

  constructor(port: number, protection: Protection | undefined) {
    this.#port = port;
    this.#common = { port, hostname: "127.0.0.1", logger: SILENT, ...clientProtection(protection) };
    this.#clients = KINDS.map((kind) => new Client({ ...this.#common, ...kind }));
  }

  async join(): Promise<void> {
    const news = messageType(NEWS_CODE, "news", bytes);
    for (const [i, client] of this.#clients.entries()) {
      client.route(news, ({ data }) => {
        const number = new DataView(data.buffer, data.byteOffset).getUint32(0);
        if (number !== this.#got[i]++) this.#inOrder = false;
      });
      client.on("disconnect", ({ reason }) => void this.#ended.push(reason));
      await client.connect();
    }
  }

  begin(): void {
    const start = performance.now();
    this.#timer = setInterval(() => {
      // Not one after the other: while the server stands still, more and more wait.
      for (; this.#pings * PACE < performance.now() - start; this.#pings++) {
        const client = this.#clients[this.#pings % this.#clients.length];
        const begin = performance.now();
        void client.ping({ timeout: PING_TIMEOUT }).then(
          () => void this.#delays.push(performance.now() - begin),
          () => {},
        );
      }
    }, 1);
  }

  /** Brings honest clients from some way away, or one of this machine; returns how many are let in. */
  async visit(visitors: number | undefined): Promise<number> {
    if (visitors !== undefined) {
      return await countLetIn({ port: this.#port, clients: visitors, roundTrip: ROUND_TRIP });
    }
    const client = new Client(this.#common);
    client.route(messageType(NEWS_CODE, "news", bytes), () => {});
    try {
      await client.connect();
      return 1;
    } catch {
      return 0;
    } finally {
      await client.close();
    }
  }

  async leave(sent: number): Promise<Innocence> {
    clearInterval(this.#timer);
    // Those whose connection has ended get no more.
    const live = (): boolean => this.#ended.length === 0;
    const end = performance.now() + LAST;
    while (live() && performance.now() < end) {
      if (this.#delays.length === this.#pings && this.#got.every((got) => got >= sent)) break;
      await sleep(10);
    }
    const delays = [...this.#delays];
    const innocence = {
      clients: this.#clients.length,
      ended: [...this.#ended],
      got: this.#got.reduce((sum, got) => sum + got, 0),
      inOrder: this.#inOrder,
      pings: this.#pings,
      unanswered: this.#pings - delays.length,
      p50: median(delays),
      p99: quantile(delays, 0.99),
      max: delays.reduce((most, delay) => Math.max(most, delay), 0),
    };
    await Promise.all(this.#clients.map((client) => client.close({ drain: 0 })));
    return innocence;
  }
}
