/**
 * Resident memory of the server for each of 1,000 open connections: fresh from the handshake, and after one request each.
 *
 * @module
 */

import type { Context, Workload } from "../workload.ts";

const WARM = 50;
const CONNECTIONS = 1000;

/** See the module. */
export const idle: Workload = async (context) => {
  const content = new Uint8Array(64);
  // The first connections bring the server's code and pools into memory; they stay open and are not counted.
  for (let i = 0; i < WARM; i++) await echo(await context.connect(), content);
  const before = await settledMemory(context);
  const peers = [];
  for (let i = 0; i < CONNECTIONS; i++) peers.push(await context.connect());
  const open = await settledMemory(context);
  for (const peer of peers) await echo(peer, content);
  const used = await settledMemory(context);
  const { connected } = await context.server({ type: "report" });
  if (connected !== WARM + CONNECTIONS) throw new Error(`Lost connections: the server knows ${connected}`);
  return { "idle memory": (open - before) / CONNECTIONS, "idle memory, used": (used - before) / CONNECTIONS };
};

function echo(peer: Awaited<ReturnType<Context["connect"]>>, content: Uint8Array): Promise<void> {
  return new Promise((resolve) => peer.request(content, () => resolve()));
}

/** The least of a few readings: a collection may not free everything at once. */
async function settledMemory(context: Context): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    least = Math.min(least, (await context.server({ type: "report", memory: true })).memory);
  }
  return least;
}
