/**
 * A network within the program: its listeners, and the pairs of pipes of its connections.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { anyLoop } from "../base/event_loop.ts";
import type { Endpoint } from "../base/address.ts";
import type { ChunkReader, Connection, ConnectOptions, Listener, SocketOptions } from "../transport.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { type Channel, Duplex } from "./duplex.ts";
import { bufferSizeOf, checkEndpoint, DEFAULT_BUFFER_SIZE } from "./endpoint.ts";
import { FakeClock } from "./fake_clock.ts";
import type { Faults } from "./faults.ts";
import { Pipe, resetError } from "./pipe.ts";
import { runtimeClock } from "./runtime_loop.ts";
import { connectError, listenError, systemError } from "./system_errors.ts";

/**
 * The direction whose faults are asked for.
 *
 * @category Testing
 */
export interface FaultsInfo {
  /** The side that sends the bytes. */
  readonly side: "client" | "server";
  /** The number of the connection, from 0. */
  readonly index: number;
}

/**
 * One direction of a connection of a memory network, to disturb while it is in use.
 *
 * @category Testing
 */
export interface MemoryDirection {
  /** Delivers nothing more until `release`. What is sent meanwhile waits. */
  hold(): void;
  /** Delivers what waits, and goes on. */
  release(): void;
  /** Loses what is under way and all that is sent from now on, FIN included, as on a broken line. */
  drop(): void;
  /** Delivers FIN after what is under way. What the side sends from now on vanishes. */
  close(): void;
}

/**
 * A connection of a memory network, to disturb while it is in use.
 *
 * @category Testing
 */
export interface MemoryLine {
  /** The number of the connection, from 0. */
  readonly index: number;
  /** The address that was connected to. */
  readonly to: Endpoint;
  /** What the client sends. */
  readonly client: MemoryDirection;
  /** What the server sends. */
  readonly server: MemoryDirection;
  /** Resets the connection for both sides, now. What has not arrived is lost. */
  reset(): void;
}

/**
 * Options of a memory network; all optional.
 *
 * @category Testing
 */
export interface MemoryOptions {
  /** The clock. With a {@linkcode FakeClock}, `advance` waits for deliveries, too. @default the real time */
  readonly clock?: Clock;
  /** Called for each direction of each new connection. Returns the faults of that direction. @default no faults */
  readonly faults?: (info: FaultsInfo) => Faults | undefined;
  /** Called for each new connection, with what disturbs it while it is in use. */
  readonly opened?: (line: MemoryLine) => void;
  /** How many bytes a direction holds before writing has to wait. @default 262144 */
  readonly pipeSize?: number;
}

/** A separate network with its own ports and names. */
export class Network {
  readonly clock: Clock;
  readonly #faults: MemoryOptions["faults"];
  readonly #opened: MemoryOptions["opened"];
  readonly #pipeSize: number;
  readonly #turn: (fn: () => void) => void;
  readonly #listeners = new Map<string, MemoryListener>();
  #port = 49152;
  #index = 0;

  constructor(options: MemoryOptions = {}) {
    const { clock = runtimeClock(), faults, opened, pipeSize = 262144 } = options;
    if (!Number.isSafeInteger(pipeSize) || pipeSize < 1) {
      throw new RangeError(`Cannot use "pipeSize": it must be a positive integer, got ${pipeSize}`);
    }
    this.clock = clock;
    this.#faults = faults;
    this.#opened = opened;
    this.#pipeSize = pipeSize;
    this.#turn = clock instanceof FakeClock ? (fn) => clock.turn(fn) : anyLoop.yield;
  }

  freePort(): number {
    return this.#port < 65536 ? this.#port++ : this.#port = 49152;
  }

  async connect(to: Endpoint, options?: ConnectOptions): Promise<Connection> {
    checkEndpoint("connect", to);
    const bufferSize = bufferSizeOf(options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    await new Promise<void>((resolve) => this.#turn(resolve));
    signal?.throwIfAborted();
    const listener = this.#namesOf(to).map((name) => this.#listeners.get(name)).find((listener) => listener);
    if (isUnresolvable(to)) throw connectError(to, systemError("ENOTFOUND"));
    if (!listener) throw connectError(to, systemError("path" in to ? "ENOENT" : "ECONNREFUSED"));
    const local = "path" in to ? { path: "" } : { hostname: "127.0.0.1", port: this.freePort() };
    const [client, server] = this.pair(local, to, bufferSize, listener.bufferSize);
    listener.queue.push(server);
    return client;
  }

  // deno-lint-ignore require-await
  async listen(at: Endpoint, options?: SocketOptions): Promise<Listener> {
    checkEndpoint("listen", at);
    const bufferSize = bufferSizeOf(options);
    if (isUnresolvable(at)) throw listenError(at, systemError("ENOTFOUND"));
    let address = at;
    if (!("path" in at) && at.port === 0) {
      do address = { hostname: at.hostname, port: this.freePort() }; while (this.#inUse(address));
    }
    if (this.#inUse(address)) throw listenError(at, systemError("EADDRINUSE"));
    const name = nameOfHost(address);
    const listener = new MemoryListener(address, bufferSize, () => {
      if (this.#listeners.get(name) === listener) this.#listeners.delete(name);
    });
    this.#listeners.set(name, listener);
    return listener;
  }

  pair(
    local: Endpoint,
    remote: Endpoint,
    clientSize: number = DEFAULT_BUFFER_SIZE,
    serverSize: number = DEFAULT_BUFFER_SIZE,
  ): [Connection, Connection] {
    const index = this.#index++;
    const reset = () => {
      const error = resetError();
      up.break(error);
      down.break(error);
    };
    const pipe = (side: FaultsInfo["side"], chunkSize: number) =>
      new Pipe({
        size: this.#pipeSize,
        chunkSize,
        clock: this.clock,
        turn: this.#turn,
        faults: this.#faults?.({ side, index }),
        reset,
      });
    const up = pipe("client", serverSize);
    const down = pipe("server", clientSize);
    this.#opened?.({ index, to: remote, client: up, server: down, reset });
    const soon = () => this.#turn(reset);
    return [
      new Duplex(new MemoryChannel(local, remote, down, up, soon)),
      new Duplex(new MemoryChannel(remote, local, up, down, soon)),
    ];
  }

  #namesOf(to: Endpoint): string[] {
    if ("path" in to) return [to.path];
    return [to.hostname, "0.0.0.0", "::"].map((hostname) => nameOfHost({ hostname, port: to.port }));
  }

  #inUse(at: Endpoint): boolean {
    if (this.#namesOf(at).some((name) => this.#listeners.has(name))) return true;
    if ("path" in at || (at.hostname !== "0.0.0.0" && at.hostname !== "::")) return false;
    return [...this.#listeners.keys()].some((name) => name.endsWith(` ${at.port}`));
  }
}

function nameOfHost(at: Endpoint): string {
  if ("path" in at) return at.path;
  return `${at.hostname === "localhost" ? "127.0.0.1" : at.hostname} ${at.port}`;
}

function isUnresolvable(at: Endpoint): boolean {
  return "hostname" in at && at.hostname.endsWith(".invalid");
}

class MemoryListener implements Listener {
  readonly queue = new AcceptQueue();
  readonly address: Endpoint;
  readonly bufferSize: number;
  readonly #forget: () => void;

  constructor(address: Endpoint, bufferSize: number, forget: () => void) {
    this.address = address;
    this.bufferSize = bufferSize;
    this.#forget = forget;
  }

  close(): Promise<void> {
    this.#forget();
    this.queue.end();
    return Promise.resolve();
  }

  unref(): void {}

  [Symbol.asyncIterator](): AsyncIterator<Connection> {
    return this.queue.iterate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class MemoryChannel implements Channel {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;
  readonly #reset: () => void;

  constructor(local: Endpoint, remote: Endpoint, incoming: Pipe, outgoing: Pipe, reset: () => void) {
    this.local = local;
    this.remote = remote;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#reset = reset;
  }

  read(reader: ChunkReader): void {
    this.#incoming.read(reader);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#outgoing.write(bytes);
  }

  finish(): Promise<void> {
    return this.#outgoing.finish();
  }

  // As in TCP, closing with unread bytes resets the connection. Otherwise the peer reads FIN.
  release(): void {
    if (this.#incoming.unread) return this.#reset();
    this.#outgoing.abandon();
    this.#incoming.shut();
  }

  unref(): void {}
}
