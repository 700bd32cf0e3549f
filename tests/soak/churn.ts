/**
 * Connecting, asking and leaving, over and over: memory stays flat after warm-up, and no file descriptor is left.
 *
 * @module
 */

import { bytes, Client, messageType, Server, type TcpEndpoint } from "@veltix/core";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { type Commands, play } from "../processes/role.ts";
import { sleep, until } from "../processes/waiting.ts";
import { count, mib, slope } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

const ECHO = messageType(200, "echo", bytes, bytes);
/** Connections at a time. */
const BESIDE = 16;
/** Parts of the work, each followed by a look at the memory. */
const PARTS = 20;
/** By how much it may grow over the second half; a leak of 20 bytes a connection shows in full. */
const FLAT = 2 ** 20;

interface Memory {
  readonly heap: number;
  readonly external: number;
}

/** See the module. */
export const churn: Scenario = {
  name: "churn",
  async run({ short, start, verdict }: Context): Promise<string> {
    const [cycles, requests] = short ? [2_000, 50_000] : [100_000, 1_000_000];
    const server = await start(import.meta.url, "server");
    const clients = await start(import.meta.url, "clients", { port: server.told });
    const sides = [server, clients];
    // The first use opens what a runtime keeps.
    await clients.call("work", { cycles: 200, requests: 200 });
    const before = await Promise.all(sides.map((side) => side.call<number>("descriptors")));
    const memories: Memory[][] = [];
    for (let part = 0; part < PARTS; part++) {
      await clients.call("work", { cycles: cycles / PARTS, requests: requests / PARTS });
      memories.push(await Promise.all(sides.map((side) => side.call<Memory>("memory"))));
    }
    const after = await Promise.all(sides.map((side, i) => side.call<number>("descriptors", before[i])));
    const served = await server.call<{ connected: number; left: number; asked: number }>("served");
    await clients.end();
    await server.end();

    const half = memories.slice(PARTS / 2);
    const growth = (side: number, member: keyof Memory): number =>
      slope(half.map((memory) => memory[side][member])) * (half.length - 1);
    const grown = sides.map((_, side) => [growth(side, "heap"), growth(side, "external")]);
    sides.forEach((_, side) => {
      const name = ["server", "client"][side];
      verdict.check(
        after[side] <= before[side],
        `the ${name} has no descriptor left: ${before[side]} -> ${after[side]}`,
      );
      verdict.check(grown[side].every((bytes) => bytes < FLAT), `the ${name}'s memory is flat in the second half`);
    });
    verdict.check(served.connected === cycles + 200, `${cycles + 200} connections were made: ${served.connected}`);
    verdict.check(served.left === 0, `no connection is left: ${served.left}`);
    verdict.check(served.asked === requests + 200, `${requests + 200} requests were answered: ${served.asked}`);
    const told = grown.map(([heap, external], side) =>
      `${["server", "client"][side]} heap ${mib(heap)}, external ${mib(external)}`
    );
    return `${count(cycles)} connections, ${count(requests)} requests; growth over the second half: ${
      told.join("; ")
    }; ` +
      `descriptors ${before.join(" and ")} -> ${after.join(" and ")}`;
  },
};

/** What both sides can tell. */
const LOOKS = {
  /** How many descriptors are left: once they are no more than `most`, or in the end. */
  async descriptors(most?: number): Promise<number> {
    // Nothing tells when a runtime has closed what is over.
    if (most === undefined) await sleep(100);
    else await until("The descriptors are closed", 5_000, () => descriptors() <= most).catch(() => {});
    return descriptors();
  },
  async memory(): Promise<Memory> {
    const { Bun, gc } = globalThis as { Bun?: { gc(force: boolean): void }; gc?(): void };
    if (Bun === undefined && gc === undefined) throw new Error("There is no way to collect garbage");
    for (let i = 0; i < 3; i++) {
      if (Bun !== undefined) Bun.gc(true);
      else gc!();
      await sleep(20);
    }
    const { heapUsed, external } = process.memoryUsage();
    return { heap: heapUsed, external };
  },
};

/**
 * All but files and unix sockets: a runtime opens those of its caches and of its own threads when it likes, and the library
 * opens none of them here.
 */
function descriptors(): number {
  const own = readFileSync("/proc/net/unix", "utf8");
  const inodes = new Set(own.split("\n").map((line) => line.trim().split(/\s+/)[6]));
  return readdirSync("/proc/self/fd").map(target)
    .filter((to) => !to.startsWith("/") && !inodes.has(to.match(/^socket:\[(\d+)\]$/)?.[1] ?? "none")).length;
}

/** What a descriptor leads to; nothing for the one by which the folder was read. */
function target(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return "/";
  }
}

async function serve(): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  let connected = 0;
  let asked = 0;
  server.on("connect", () => void connected++);
  server.route(ECHO, ({ data }) => {
    asked++;
    return data;
  });
  await server.start();
  return {
    ...LOOKS,
    ready: (server.addresses[0] as TcpEndpoint).port,
    async descriptors(most?: number): Promise<number> {
      await until("All connections are over", 5_000, () => server.clients.length === 0);
      return await LOOKS.descriptors(most);
    },
    served: () => ({ connected, left: server.clients.length, asked }),
    close: () => server.close(),
  };
}

function come({ port }: { port: number }): Commands {
  const payload = new Uint8Array(64).fill(7);
  return {
    ...LOOKS,
    async work({ cycles, requests }: { cycles: number; requests: number }): Promise<void> {
      let left = cycles;
      let asked = 0;
      await Promise.all(Array.from({ length: BESIDE }, async () => {
        while (left-- > 0) {
          const client = new Client({ port });
          await client.connect();
          const due = Math.round((cycles - Math.max(left, 0)) * requests / cycles);
          const mine = Math.max(0, due - asked);
          asked += mine;
          await Promise.all(Array.from({ length: mine }, () => client.request(ECHO, payload)));
          await client.close();
        }
      }));
    },
    close: () => {},
  };
}

if (import.meta.main) await play({ server: serve, clients: come });
