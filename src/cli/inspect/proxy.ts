/**
 * Passes bytes on between clients and a server, untouched and at once, and lets somebody look at them. A slow reader slows
 * its sender down; the end of a direction and a reset are passed on as what they are.
 *
 * @module
 */

import type { Address, Connection, Listener } from "../../transport.ts";
import { TimeoutError } from "../../errors.ts";
import type { Sender } from "./seen.ts";

/** Looks at one connection. Whatever it throws is reported, and disturbs nothing. */
export interface Onlooker {
  /** Called with bytes that are passed on. They are borrowed for the call. */
  data(from: Sender, bytes: Uint8Array): void;
  /** Called when one end sends nothing more. */
  end(from: Sender): void;
  /** Called once, when the connection is over. `broken` is what broke it; `undefined` after an orderly end. */
  close(broken: Broken | undefined): void;
}

/** What broke a connection. */
export interface Broken {
  /** The sender whose direction broke first. */
  readonly from: Sender;
  readonly error: Error;
}

/** What a proxy tells. */
export interface ProxyEvents {
  /** Called for a connection that a client has made, once the server is reached. */
  open(number: number, client: Address, server: Address): Onlooker;
  /** Called when the server cannot be reached. The client is let go. */
  unreachable(number: number, client: Address, error: Error): void;
  /** Called when an onlooker has thrown. It is not called again. */
  blind(number: number, error: Error): void;
  /** Resolves when there is room for what is told next. Until then, nothing more is taken from any end. Default: always. */
  ready?(): Promise<void> | undefined;
}

/** How long connecting to the server may take, in milliseconds. */
const CONNECT_TIMEOUT = 10_000;

/** Connects to the server. Aborting the signal ends the attempt. */
export type Connect = (signal: AbortSignal) => Promise<Connection>;

/**
 * Accepts connections until the listener is closed. Connections that are open then go on, until `signal` is aborted.
 *
 * @param timeout How long connecting to the server may take, in milliseconds.
 */
export async function relay(
  listener: Listener,
  connect: Connect,
  events: ProxyEvents,
  signal: AbortSignal,
  timeout: number = CONNECT_TIMEOUT,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let number = 0;
  const reach = (): Promise<Connection> => connectWithin(timeout, connect, signal);
  for await (const client of listener) {
    const one = relayOne(++number, client, reach, events, signal).finally(() => running.delete(one));
    running.add(one);
    await events.ready?.();
  }
  await Promise.all(running);
}

async function connectWithin(timeout: number, connect: Connect, signal: AbortSignal): Promise<Connection> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal.reason);
  const timer = setTimeout(() => {
    controller.abort(new TimeoutError("timeout", `The server cannot be reached within ${timeout} ms`));
  }, timeout);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort);
  try {
    return await connect(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

async function relayOne(
  number: number,
  client: Connection,
  connect: () => Promise<Connection>,
  events: ProxyEvents,
  signal: AbortSignal,
): Promise<void> {
  let server: Connection;
  try {
    server = await connect();
  } catch (error) {
    client.abort();
    events.unreachable(number, client.remote, error as Error);
    await client.closed;
    return;
  }
  const cut = (): void => {
    client.abort();
    server.abort();
  };
  if (signal.aborted) cut();
  else signal.addEventListener("abort", cut);
  const onlooker = new Careful(number, events, client.remote, server.remote);
  // The other direction breaks because of the first one.
  let broken: Broken | undefined;
  const breaks = (from: Sender, error: Error): void => void (broken ??= { from, error });
  await Promise.all([
    pass("client", client, server, onlooker, events, breaks),
    pass("server", server, client, onlooker, events, breaks),
  ]);
  await Promise.all([client.closed, server.closed]);
  signal.removeEventListener("abort", cut);
  onlooker.close(broken);
}

/** Passes one direction on. */
async function pass(
  from: Sender,
  source: Connection,
  target: Connection,
  onlooker: Onlooker,
  events: ProxyEvents,
  breaks: (from: Sender, error: Error) => void,
): Promise<void> {
  try {
    for (;;) {
      const chunk = await source.read();
      if (chunk === null) break;
      // The write is under way before anybody looks.
      const written = target.write(chunk);
      onlooker.data(from, chunk);
      await written;
      await events.ready?.();
      source.recycle?.(chunk);
    }
    onlooker.end(from);
    await target.closeWrite();
  } catch (error) {
    breaks(from, error as Error);
    // A direction that is broken breaks the other: neither end may take that for an orderly end.
    source.abort();
    target.abort();
  }
}

/** An onlooker that cannot disturb. */
class Careful implements Onlooker {
  readonly #number: number;
  readonly #events: ProxyEvents;
  #inner: Onlooker | undefined = undefined;

  constructor(number: number, events: ProxyEvents, client: Address, server: Address) {
    this.#number = number;
    this.#events = events;
    this.#try(() => this.#inner = events.open(number, client, server));
  }

  data(from: Sender, bytes: Uint8Array): void {
    this.#try(() => this.#inner?.data(from, bytes));
  }

  end(from: Sender): void {
    this.#try(() => this.#inner?.end(from));
  }

  close(broken: Broken | undefined): void {
    this.#try(() => this.#inner?.close(broken));
  }

  #try(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.#inner = undefined;
      this.#events.blind(this.#number, error as Error);
    }
  }
}
