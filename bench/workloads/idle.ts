/**
 * Resident memory of the server for each open connection: for 1,000 fresh from the handshake, for the same after one request
 * each, and for 10,000.
 *
 * @module
 */

import type { Peer } from "../subject.ts";
import type { Context, Figures, Workload } from "../workload.ts";

const WARM = 50;
const FEW = 1000;
const MANY = 10_000;
/** Files that a process has open besides its connections. */
const OTHER_FILES = 100;
const AT_A_TIME = 32;

/** See the module. */
export const idle: Workload = async (context) => {
  const content = new Uint8Array(64);
  // The first connections bring the server's code and pools into memory; they stay open and are not counted.
  for (let i = 0; i < WARM; i++) await echo(await context.connect(), content);
  const { memory: before } = await settledMemory(context);
  const few = Math.min(FEW, context.pace.connections);
  const peers = await open(context, few);
  const { memory: fresh } = await settledMemory(context);
  for (const peer of peers) await echo(peer, content);
  const { memory: used } = await settledMemory(context);
  const figures: Figures = { "idle memory": (fresh - before) / few, "idle memory, used": (used - before) / few };
  await confirmConnected(context, WARM + few);

  const reason = whyNot(context, MANY);
  if (reason === undefined) {
    await open(context, MANY - few);
    figures["idle memory, 10,000"] = ((await settledMemory(context)).memory - before) / MANY;
    await confirmConnected(context, WARM + MANY);
  } else context.note(`idle memory at ${MANY.toLocaleString("en")} connections skipped: ${reason}`);
  return figures;
};

/** Why so many connections can't be opened. */
function whyNot({ pace, openFiles }: Context, connections: number): string | undefined {
  if (pace.connections < connections) return "the run is a short one";
  if (openFiles < connections + OTHER_FILES) return `a process may have ${openFiles} files open (ulimit -n)`;
  return undefined;
}

/** Opens so many connections. */
export async function open(context: Context, count: number): Promise<Peer[]> {
  const peers: Peer[] = [];
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) peers.push(await context.connect());
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
  return peers;
}

async function confirmConnected(context: Context, count: number): Promise<void> {
  const { connected } = await context.server({ type: "report" });
  if (connected !== count) throw new Error(`Lost connections: the server knows ${connected} of ${count}`);
}

function echo(peer: Peer, content: Uint8Array): Promise<void> {
  return new Promise((resolve) => peer.request(content, () => resolve()));
}

/** The least of a few readings: a collection may not free everything at once. */
export async function settledMemory(context: Context): Promise<{ readonly memory: number; readonly heap: number }> {
  let [memory, heap] = [Infinity, Infinity];
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, context.pace.measure)));
    const report = await context.server({ type: "report", memory: true });
    memory = Math.min(memory, report.memory);
    heap = Math.min(heap, report.heap);
  }
  return { memory, heap };
}
