/**
 * A client that a page holds on to between the calls of the test.
 *
 * @module
 */

import { Client, type ClientConfig } from "@veltix/core";
import { TYPES } from "../types.ts";

/** What has happened to the client so far. */
export interface Report {
  readonly state: string;
  readonly security: string;
  /** Its events, with their reasons. */
  readonly events: readonly string[];
  /** How many messages `tick` have come, and how many of them out of order. */
  readonly ticks: number;
  readonly inversions: number;
  /** The messages `position` that have come. */
  readonly positions: readonly number[];
  /** The messages `slow` whose handlers have begun. */
  readonly slow: number;
  /** True for each time that the page was shown after it had been kept. */
  readonly shows: readonly boolean[];
}

/** The part of a page's globals that is used. */
interface PageGlobals {
  readonly shows: boolean[];
  readonly location: { href: string };
}

const page = globalThis as unknown as PageGlobals;
const events: string[] = [];
const positions: number[] = [];
const told: string[] = [];
let hear = (_text: string): void => {};
let [ticks, inversions, slow] = [0, 0, 0];
let held: Promise<void> | undefined;
let letGo = (): void => {};
let client: Client | undefined;

/** Returns the client of the page. */
export function theClient(): Client {
  if (client === undefined) throw new Error("The page has no client yet");
  return client;
}

/** Makes the client, and connects it. */
export async function connect(config: ClientConfig): Promise<void> {
  const made = client = new Client(config);
  made.on("connect", () => events.push("connect"));
  made.on("disconnect", ({ reason }) => events.push(`disconnect: ${reason}`));
  made.on("suspended", ({ reason }) => events.push(`suspended: ${reason}`));
  made.on("resumed", () => events.push("resumed"));
  made.on("error", (error) => events.push(`error: ${error}`));
  made.route(TYPES.news, ({ data }) => {
    told.push(data);
    hear(data);
  });
  made.route(TYPES.tick, ({ data }) => void (data === ticks++ || inversions++));
  made.route(TYPES.position, ({ data }) => void positions.push(data));
  made.route(TYPES.slow, async () => {
    slow++;
    await held;
  });
  await made.connect();
}

/** Asks the server. */
export async function add(a: number, b: number, timeout = 20_000): Promise<number> {
  return await theClient().request(TYPES.add, { a, b }, { timeout });
}

/** Waits for the next message `news` that was not waited for yet. */
export async function news(): Promise<string> {
  if (told.length === 0) await new Promise<string>((resolve) => hear = resolve);
  return told.shift()!;
}

/** Lets the handlers of messages `slow` wait for `release`. */
export function hold(): void {
  held = new Promise((resolve) => letGo = resolve);
}

/** Ends these handlers. */
export function release(): void {
  letGo();
  held = undefined;
}

/** Does nothing else for so many milliseconds. */
export function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Sets timers of 100 ms, one after the other, for so many milliseconds. Returns the longest time between two. */
export async function rarest(ms: number): Promise<number> {
  const end = performance.now() + ms;
  let longest = 0;
  for (let at = performance.now(); at < end;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = performance.now();
    longest = Math.max(longest, now - at);
    at = now;
  }
  return Math.round(longest);
}

/** Closes the client. */
export async function close(): Promise<void> {
  await theClient().close();
}

/** Goes to another page, after the call has returned. */
export function leave(url: string): void {
  void Promise.resolve().then(() => page.location.href = url);
}

/** Returns what has happened so far. */
export function report(): Report {
  const { security = "none", state } = client ?? { state: "none" };
  return { state, security, events, ticks, inversions, positions, slow, shows: page.shows };
}
