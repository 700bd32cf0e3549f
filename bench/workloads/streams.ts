/**
 * Streams: pieces of 64 KiB and items of 100 bytes through one stream, to the server (up) and from it (down); items beside
 * messages of the same size.
 *
 * @module
 */

import type { StreamPeer, Transfer } from "../streams/subject.ts";
import type { Context, Figures, Workload } from "../workload.ts";
import { measurePasses } from "./passes.ts";

const PIECE = 65_536;
const PIECES = 2_000;
const ITEM = 100;
const ITEMS = 50_000;

/** See the module. */
export const streams: Workload = async (context): Promise<Figures> => {
  const { peer, items } = await context.streams();
  const figures: Figures = {};
  for (const direction of ["up", "down"] as const) {
    const name = `streams 64 KiB ${direction}`;
    const { rate, cpu } = await measure(context, peer, { direction, kind: "bytes", size: PIECE, count: PIECES });
    figures[name] = rate * PIECE;
    figures[`${name} cpu`] = cpu;
  }
  for (const direction of items ? ["up", "down"] as const : []) {
    const name = `streams items ${direction}`;
    const { rate, cpu } = await measure(context, peer, { direction, kind: "items", size: ITEM, count: ITEMS });
    figures[name] = rate;
    figures[`${name} cpu`] = cpu;
    if (context.config.subject !== "veltix") continue;
    const load: Transfer = { direction, kind: "messages", size: ITEM, count: ITEMS };
    const { rate: messages, cpu: messageCpu } = await measure(context, peer, load);
    figures[`streams messages ${direction}`] = messages;
    figures[`streams messages ${direction} cpu`] = messageCpu;
    figures[`streams items by messages ${direction}`] = rate / messages;
  }
  await peer.close();
  return figures;
};

function measure(context: Context, peer: StreamPeer, transfer: Transfer): Promise<{ rate: number; cpu: number }> {
  const count = Math.max(1, Math.round(transfer.count * context.pace.share));
  return measurePasses(context, count, () => peer.run({ ...transfer, count }));
}
