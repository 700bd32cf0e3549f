/**
 * Compressed payloads that take their receiver much more time and memory than their sender: some that break the rules, and
 * the worst that keep them. Their sender is Node, which has zstd.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { zstdCompressSync } from "node:zlib";
import { encodeFrame, protocol } from "@veltix/core/wire";
import { RawPeer, sleep, u32 } from "./raw_peer.ts";

/** A server that is attacked. */
interface BombedServer {
  readonly port: number;
  readonly ms: number;
}

/** The flag of a compressed payload. */
const COMPRESSED = 0x10;
/** A type that nobody handles. */
const CODE = 250;
/** What each makes, in bytes. */
const INFLATED = 8 * 2 ** 20;
/** How often a receiver may be made to inflate so many times what was sent. */
const MAX_RATIO = 256;
/** How many a second are meant. */
const RATE = 1_000;
const FEATURES = {
  credit: { window: 4_194_304, least: 0 },
  goaway: {},
  compression: { codecs: ["zstd", "deflate-raw"] },
};

/** 8 MiB in as few bytes as zstd knows to put them, about 270. */
function smallest(): Uint8Array {
  return zstdCompressSync(Buffer.alloc(INFLATED));
}

/** The same in as many bytes as the rules ask for: there are empty blocks before the first one. */
function allowed(): Uint8Array {
  const bytes = smallest();
  // After the magic and the descriptor there is a window or a size.
  const single = (bytes[4] & 0x20) !== 0;
  const head = 5 + Number(!single) + (bytes[4] >> 6 === 0 ? Number(single) : 1 << (bytes[4] >> 6));
  const blocks = Math.ceil((INFLATED / MAX_RATIO - bytes.length) / 3);
  return Buffer.concat([bytes.subarray(0, head), new Uint8Array(3 * blocks), bytes.subarray(head)]);
}

function bomb(compressed: Uint8Array): Uint8Array {
  const content = Buffer.concat([u32(INFLATED), compressed]);
  return encodeFrame(protocol("native"), { code: CODE, flags: COMPRESSED, requestId: 0, content }, COMPRESSED);
}

/** 20 connections at once, each replaced when it is ended, send 1,000 payloads a second that break the rule of the ratio. */
export async function sendForbiddenBombs({ port, ms }: BombedServer): Promise<string> {
  const bytes = bomb(smallest());
  const end = performance.now() + ms;
  const counts = { sent: 0, ended: 0 };
  const connections = 20;
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < end) {
      const next = performance.now() + 1_000 * connections / RATE;
      const peer = await RawPeer.open({ port, features: FEATURES });
      if (peer !== undefined) {
        await peer.send(bytes);
        counts.sent++;
        await Promise.race([peer.gone, sleep(end - performance.now())]);
        if (peer.ended) counts.ended++;
        peer.leave();
      }
      await sleep(next - performance.now());
    }
  }));
  return `${counts.sent} of ${bytes.length} bytes sent, ${counts.ended} connections ended`;
}

/** 10 connections send payloads that keep all rules, as fast as they are given credit and 1,000 a second at most. */
export async function sendAllowedBombs({ port, ms }: BombedServer): Promise<string> {
  const bytes = bomb(allowed());
  const end = performance.now() + ms;
  const opened = await Promise.all(Array.from({ length: 10 }, () => RawPeer.open({ port, features: FEATURES })));
  const peers = opened.filter((peer) => peer !== undefined);
  let sent = 0;
  await Promise.all(peers.map(async (peer) => {
    while (performance.now() < end && !peer.ended) {
      const next = performance.now() + 1_000 * peers.length / RATE;
      if (peer.credit > 0) {
        peer.credit -= 16 + INFLATED;
        sent++;
        await Promise.race([peer.send(bytes), sleep(end - performance.now())]);
        await sleep(next - performance.now());
      } else await sleep(1);
    }
  }));
  const ended = peers.filter((peer) => peer.ended).length;
  for (const peer of peers) peer.leave();
  return `${sent} of ${bytes.length} bytes sent, ${ended} of ${peers.length} ended`;
}
