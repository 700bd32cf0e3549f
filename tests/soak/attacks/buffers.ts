/**
 * Peers that make a server hold bytes: answers and broadcasts that they do not read, payloads for handlers that take their
 * time. Raw sockets, each attack for as long as it is told to.
 *
 * @module
 */

import { frame, RawPeer, REQUEST, sleep, u32 } from "./raw_peer.ts";

/** What a server has to serve for these attacks: request codes. */
export const BUFFER_CODES = {
  /** Answered with 10 MiB by an asynchronous handler. */
  later: 210,
  /** Answered with 10 MiB at once. */
  now: 211,
  /** Handled for longer than the attack lasts. */
  slow: 212,
} as const;

/** How to attack. */
export interface BufferAttack {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** For how long, in milliseconds. */
  readonly ms: number;
}

/** A payload for a slow handler, in bytes. */
const PAYLOAD = 9 * 2 ** 20;
/** How often a trickle of credit comes, in milliseconds. */
const TRICKLE = 1_000;

/** Two connections ask 100 times each for 10 MiB of an asynchronous handler, and read nothing. */
export async function askWithoutReading({ port, ms }: BufferAttack): Promise<string> {
  const peers = await openAll(port, 2);
  for (const peer of peers) {
    peer.pause();
    for (let id = 1; id <= 100; id++) void peer.send(frame(BUFFER_CODES.later, REQUEST, id));
  }
  await sleep(ms);
  return leaveAll(peers);
}

/** 48 connections ask once each for 10 MiB, and read nothing. */
export async function askOnceEach({ port, ms }: BufferAttack): Promise<string> {
  const peers = await openAll(port, 48);
  for (const peer of peers) {
    peer.pause();
    void peer.send(frame(BUFFER_CODES.now, REQUEST, 1));
  }
  await sleep(ms);
  return leaveAll(peers);
}

/** 20 connections read everything, and let one message come a second. */
export async function trickleCredit({ port, ms }: BufferAttack): Promise<string> {
  const most = 2 ** 32 - 1;
  const peers = await openAll(port, 20, { credit: { window: 1, least: most }, goaway: {} });
  const end = performance.now() + ms;
  while (performance.now() < end) {
    for (const peer of peers) void peer.send(frame(5, 0, 0, u32(most)));
    await sleep(Math.min(TRICKLE, ms / 4));
  }
  return leaveAll(peers);
}

/** One connection sends 100 payloads of 9 MiB to a slow handler, as far as it is given credit, and some more without. */
export async function fillSlowHandlers({ port, ms }: BufferAttack): Promise<string> {
  const [peer] = await openAll(port, 1);
  if (peer === undefined) return "not let in";
  const payload = new Uint8Array(PAYLOAD);
  const end = performance.now() + ms;
  let sent = 0;
  while (sent < 100 && performance.now() < end && !peer.ended) {
    if (peer.credit <= 0) {
      await sleep(10);
      continue;
    }
    const bytes = frame(BUFFER_CODES.slow, REQUEST, ++sent, payload);
    peer.credit -= bytes.length;
    await Promise.race([peer.send(bytes), sleep(end - performance.now())]);
  }
  await sleep(end - performance.now());
  return `${sent} payloads sent, ${leaveAll([peer])}`;
}

async function openAll(port: number, count: number, features?: unknown): Promise<RawPeer[]> {
  const peers = await Promise.all(Array.from({ length: count }, () => RawPeer.open({ port, features })));
  return peers.filter((peer) => peer !== undefined);
}

function leaveAll(peers: readonly RawPeer[]): string {
  const ended = peers.filter((peer) => peer.ended).length;
  for (const peer of peers) peer.leave();
  return `${ended} of ${peers.length} ended`;
}
