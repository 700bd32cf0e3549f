/**
 * How long a good client takes to connect while 1,000 peers hold a connection and say nothing, and how long without them.
 *
 * @module
 */

import net from "node:net";
import type { Socket } from "node:net";
import { median } from "../../src/cli/bench/statistics.ts";
import type { Context, Workload } from "../workload.ts";

const PEERS = 1000;
const CONNECTS = 100;

/** See the module. */
export const silent: Workload = async (context) => {
  await connectTimes(context);
  const without = await connectTimes(context);
  const peers: Socket[] = [];
  for (let i = 0; i < PEERS; i++) peers.push(await openSilent(context.port));
  // Connections are accepted in order: when this one is open, so are the silent ones.
  await (await context.connect()).close();
  const amongSilent = await connectTimes(context);
  for (const peer of peers) peer.destroy();
  return {
    "silent: connect alone": median(without),
    "silent: connect among 1,000": median(amongSilent),
    "silent: slowest": Math.max(...amongSilent),
    "silent: delay": median(amongSilent) - median(without),
  };
};

async function connectTimes(context: Context): Promise<number[]> {
  const times = [];
  for (let i = 0; i < CONNECTS; i++) {
    const start = performance.now();
    const peer = await context.connect();
    times.push(performance.now() - start);
    await peer.close();
  }
  return times;
}

function openSilent(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port }, () => resolve(socket));
    socket.on("error", reject);
    socket.on("data", () => {});
  });
}
