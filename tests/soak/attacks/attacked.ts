/**
 * The server that is attacked, as a process: it broadcasts steadily, and looks at what becomes of it.
 *
 * @module
 */

import { bytes, Client, json, messageType, Server, streamType, type TcpEndpoint } from "@veltix/core";
import process from "node:process";
import type { Commands } from "../../processes/role.ts";
import { BUFFER_CODES } from "./buffers.ts";
import { BAIT_CODE, type Setting } from "./catalogue.ts";
import { serverProtection } from "./protection.ts";
import { sleep } from "./raw_peer.ts";
import { ASK_ME_CODE, JSON_CODE } from "./strangers.ts";
import { STREAM_CODES } from "./streams.ts";

/** The code of the numbered broadcasts. */
export const NEWS_CODE = 220;
/** A broadcast every so many milliseconds. */
const PACE = 10;
/** What it looks like is looked at every so many milliseconds. */
const LOOK = 20;
/** What large answers have, in bytes. */
const ANSWER = 10 * 2 ** 20 - 16;
/** How long what is slow takes: longer than any attack. In milliseconds. */
const SLOW = 60_000;

/** What an attack did. */
export interface Damage {
  /** Broadcasts made. */
  readonly sent: number;
  /** The memory of the process, in bytes. */
  readonly rss: { readonly before: number; readonly max: number };
  /** The most that waited to be sent, in bytes. */
  readonly buffered: number;
  /** The share of a core that it took. */
  readonly cpu: number;
  /** How often connections ended for each reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Connections that were not let in. */
  readonly rejected: number;
}

/** Plays the server. Its log is the default one: that is attacked, too. */
export async function beAttacked({ config, authenticate, news = 64, protection }: Setting): Promise<Commands> {
  const server = new Server<unknown>({
    port: 0,
    hostname: "127.0.0.1",
    ...config,
    ...serverProtection(protection),
    ...(authenticate === true ? { authenticate: slowly } : {}),
  });
  const reasons: Record<string, number> = {};
  server.on("disconnect", (_, { reason }) => void (reasons[reason] = (reasons[reason] ?? 0) + 1));
  server.route(messageType(BUFFER_CODES.later, "later", bytes, bytes), async () => {
    await sleep(100);
    return new Uint8Array(ANSWER);
  });
  server.route(messageType(BUFFER_CODES.now, "now", bytes, bytes), () => new Uint8Array(ANSWER));
  server.route(messageType(BUFFER_CODES.slow, "slow", bytes, bytes), async ({ data }) => {
    await sleep(SLOW);
    return data.subarray(0, 1);
  });
  server.route(messageType(JSON_CODE, "json", json<unknown>()), () => {});
  server.route(messageType(300, "echo", bytes, bytes), ({ data }) => data);
  server.stream(streamType(STREAM_CODES.echo, "echo"), ({ readable, writable }) => readable.pipeTo(writable));
  server.stream(streamType(STREAM_CODES.unread, "unread"), async ({ signal }) => {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  const question = messageType(ASK_ME_CODE + 1, "question", bytes, bytes);
  server.route(messageType(ASK_ME_CODE, "ask me", bytes), ({ data }, client) => {
    const times = new DataView(data.buffer, data.byteOffset).getUint32(0);
    for (let i = 0; i < times; i++) void client.request(question, data, { timeout: SLOW }).catch(() => {});
  });
  await server.start();

  const type = messageType(NEWS_CODE, "news", bytes);
  let sent = 0;
  let timers: ReturnType<typeof setInterval>[] = [];
  let begun = 0;
  let cpu = process.cpuUsage();
  const rss = { before: 0, max: 0 };
  let buffered = 0;
  let visitor: Client | undefined;
  let loop: AsyncIterator<unknown> | undefined;
  const look = (): void => {
    rss.max = Math.max(rss.max, process.memoryUsage().rss);
    buffered = Math.max(buffered, server.stats().bufferedBytes);
  };
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    begin(): void {
      (globalThis as { gc?: () => void }).gc?.();
      rss.before = process.memoryUsage().rss;
      cpu = process.cpuUsage();
      begun = performance.now();
      const broadcast = (): void => {
        for (; sent * PACE < performance.now() - begun; sent++) {
          const payload = new Uint8Array(news);
          new DataView(payload.buffer).setUint32(0, sent);
          server.broadcast(type, payload);
        }
      };
      timers = [setInterval(broadcast, PACE), setInterval(look, LOOK)];
    },
    /** Has a client connect to a server that wants it no good, with a loop that is busy. */
    visit(port: number): void {
      visitor = new Client({ port, hostname: "127.0.0.1", reconnect: { delay: 1, maxDelay: 1 } });
      visitor.on("error", () => {});
      // It holds what arrives: nobody takes any.
      loop = visitor.messages(messageType(BAIT_CODE, "bait", bytes));
      visitor.connect().catch(() => {});
    },
    finish(): Damage {
      timers.forEach(clearInterval);
      look();
      const { user, system } = process.cpuUsage(cpu);
      return {
        sent,
        rss,
        buffered,
        cpu: (user + system) / 1_000 / (performance.now() - begun),
        reasons,
        rejected: server.stats().rejected,
      };
    },
    async close(): Promise<void> {
      await visitor?.close({ drain: 0 });
      await loop?.return?.();
      await server.close({ drain: 0 });
    },
  };
}

/** Lets those in at once who have no credentials. */
async function slowly({ credentials, signal }: { credentials: unknown; signal: AbortSignal }): Promise<boolean> {
  if (credentials === undefined) return true;
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, SLOW);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
  return false;
}
