/**
 * What a check is, and what all checks use: message types, payloads that show damage, and waiting.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { bytes, type Client, type ClientConfig, type ConnectedClient, messageType, text } from "@veltix/core";
import { sleep, until } from "../processes/waiting.ts";
import type { PythonPeer } from "./python_peer.ts";
import type { Release } from "./releases.ts";

/** The contract with `peer.py`. */
export const TEXT = messageType(200, "text", text);
export const ECHO = messageType(201, "echo", bytes, bytes);
export const SERIAL = messageType(202, "serial", bytes);
/** Nobody but us knows it, and nobody but Python the other. */
export const STRANGE = messageType(299, "strange", bytes);
export const PRIVATE = 999;

/** Payload sizes of the echo check, in bytes. */
const SIZES = [0, 1, 64 * 1024, 5 * 1024 * 1024];

/** More than sockets and queues hold: 300 messages of 64 KiB. */
export const FLOOD = { count: 300, size: 65_536 } as const;

/** How long anything may take, in milliseconds. */
export const LIMIT = 30_000;

/** So many looks without a change are a standstill. */
const STILL = 5;

/** One thing that must work, told apart from whether it was tried. */
export interface Check<Context> {
  /** What it shows. */
  readonly name: string;
  /** Whether it is about something that a release has; all of them without it. */
  readonly concerns?: (release: Release) => boolean;
  /** Why a release can't be asked; `undefined` where it can. */
  readonly without?: (release: Release) => string | undefined;
  /** Throws when it does not work. */
  run(context: Context): Promise<void>;
}

/** Whether a release has no handshake that could refuse anybody. */
export function speechless({ handshake }: Release): string | undefined {
  return handshake === "none" ? "it has no handshake" : undefined;
}

/** Whether a release sends a part of a frame and then the whole. */
export function tears({ tears }: Release): boolean {
  return tears === true;
}

/** The sizes that a release can take and give back. */
export function sizesFor({ largest = Infinity, sendsWhole = Infinity }: Release): number[] {
  return [...SIZES.filter((size) => size <= Math.min(largest, sendsWhole)), ...largest < Infinity ? [largest] : []];
}

/** What our end is told to get on with a release, on either side. */
export function suited({ tears, loses, lingers }: Release): Pick<ClientConfig, "heartbeat" | "recovery"> {
  return {
    ...tears || loses ? { recovery: "resync" } : {},
    // What it closed shows when it is asked whether it lives.
    ...lingers ? { heartbeat: { idle: 500 } } : {},
  };
}

/** Throws when a ping took anything but some milliseconds. */
export function assertLatency(milliseconds: unknown): void {
  assert(typeof milliseconds === "number" && Number.isFinite(milliseconds), `a ping took ${milliseconds} ms`);
}

/** Bytes that repeat every 251: a lost or doubled piece shows. */
export function bulk(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => i % 251);
}

/** Four bytes of number, and a pattern that follows from it. */
export function serialContent(serial: number, size: number): Uint8Array {
  const content = new Uint8Array(size).fill(serial % 251);
  new DataView(content.buffer).setUint32(0, serial);
  return content;
}

/** Watches numbered messages come in. */
export class Serials {
  /** How many came. */
  count = 0;
  /** How many of them out of turn, and how many damaged. */
  disordered = 0;
  damaged = 0;

  /** Takes the next one. */
  take(content: Uint8Array): void {
    const serial = new DataView(content.buffer, content.byteOffset).getUint32(0);
    if (serial !== this.count++) this.disordered++;
    for (let i = 4; i < content.length; i++) {
      if (content[i] !== serial % 251) {
        this.damaged++;
        return;
      }
    }
  }
}

/** Takes no numbered message until the sender's socket is full and holds it up; then all of them. */
export function slowly(serials: Serials, from: PythonPeer): (message: { readonly data: Uint8Array }) => Promise<void> {
  let held: Promise<void> | undefined;
  return async ({ data }) => {
    held ??= standstill(from);
    await held;
    serials.take(data);
  };
}

/** Waits until a Python program that sends numbered messages sends none: a row of looks finds the same count. */
async function standstill(python: PythonPeer): Promise<void> {
  let [last, same] = [0, 0];
  await until("its sender stands still", LIMIT, async () => {
    const { sent } = await python.told();
    same = sent > 0 && sent === last ? same + 1 : 0;
    last = sent;
    return same === STILL;
  });
}

/** Lets a Python program send `count` numbered messages: at once, or by so few that its socket takes them. */
export async function numberFrom(python: PythonPeer, release: Release, serials: Serials, count: number): Promise<void> {
  const step = release.loses || release.tears ? 100 : count;
  for (let first = 0; first < count; first += step) {
    assertEquals(await python.call("number", { first, count: step, size: 64 }), step);
    await until(`${first + step} messages`, LIMIT, () => serials.count >= first + step);
  }
  assertEquals({ ...serials }, { count, disordered: 0, damaged: 0 });
}

/** Sends `count` numbered messages of `size` bytes, as fast as the peer takes them. */
export async function number(to: Client | ConnectedClient, count: number, size: number): Promise<void> {
  for (let serial = 0; serial < count; serial++) {
    if (!to.send(SERIAL, serialContent(serial, size))) await to.ready();
  }
}

/** Where frames that are read together are lost: lets the last one be read. Nothing tells when. */
export async function settle({ largest }: Release): Promise<void> {
  if (largest !== undefined) await sleep(300);
}
