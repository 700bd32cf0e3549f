/**
 * TCP and unix sockets through `Deno.connect` and `Deno.listen`. Importing it is harmless on other runtimes.
 *
 * Deno's `write` may take only some of the bytes and returns how many. Its `read` needs a buffer for as long as it
 * waits.
 *
 * @module
 */

import type { Address, Endpoint } from "../base/address.ts";
import type {
  ChunkReader,
  ChunkWriter,
  Connection,
  ConnectOptions,
  Listener,
  SocketOptions,
  Transport,
} from "../transport.ts";
import { realTime } from "../base/real_time.ts";
import { descriptorLimit } from "./descriptors.ts";
import { type Channel, Duplex } from "./duplex.ts";
import { type BusyReader, ReadTurns } from "./deno_turns.ts";
import { bufferSizeOf, checkEndpoint, plainIp } from "./endpoint.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { runtimeApi } from "./runtime.ts";
import { notItself } from "./self_connect.ts";
import { listenAnew } from "./stale_socket.ts";
import { rest, runtimeLoop } from "./runtime_loop.ts";
import { brokenError, connectError, listenError } from "./system_errors.ts";

export type * from "../transport.ts";

type DenoAddress = { readonly hostname: string; readonly port: number } | { readonly path: string | null };
type DenoEndpoint = { hostname: string; port: number } | { transport: "unix"; path: string };

interface DenoConn {
  readonly localAddr: DenoAddress;
  readonly remoteAddr: DenoAddress;
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  unref(): void;
  setNoDelay?(on: boolean): void;
}

interface DenoListener {
  readonly addr: DenoAddress;
  accept(): Promise<DenoConn>;
  close(): void;
  unref(): void;
}

interface DenoApi {
  connect(options: DenoEndpoint & { signal?: AbortSignal }): Promise<DenoConn>;
  listen(options: DenoEndpoint): DenoListener;
}

/**
 * Creates a transport over Deno's own sockets.
 *
 * @throws {ConfigError} `unsupported`, on another runtime.
 *
 * @category Transport
 */
export function denoTransport(): Transport {
  const deno = runtimeApi<DenoApi>("Deno");
  const connect: Transport["connect"] = (to, options) => connectDeno(deno, to, options);
  return {
    name: "deno",
    connect,
    listen: (at, options) => listenAnew(at, () => listenDeno(deno, at, options), connect),
    descriptors: descriptorLimit,
    eventLoop: runtimeLoop(),
  };
}

/** How long a socket that has connected may take to be reported on a busy machine, in milliseconds. */
const SETTLE = 1_000;

function targetOf(at: Endpoint): DenoEndpoint {
  return "path" in at ? { transport: "unix", path: at.path } : { hostname: at.hostname, port: at.port };
}

async function connectDeno(deno: DenoApi, to: Endpoint, options?: ConnectOptions): Promise<Connection> {
  checkEndpoint("connect", to);
  const bufferSize = bufferSizeOf(options);
  const signal = options?.signal;
  signal?.throwIfAborted();
  const late = new AbortController();
  const aborted = Promise.withResolvers<never>();
  const connecting = deno.connect({ ...targetOf(to), signal: late.signal });
  const abort = (): void => {
    aborted.reject(signal!.reason);
    giveUp(connecting, late);
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const connection = await Promise.race([connecting, aborted.promise]);
    return notItself(new Duplex(new DenoChannel(connection, bufferSize)), to);
  } catch (error) {
    throw signal?.aborted ? signal.reason : connectError(to, error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Gives up connecting. If the socket has connected when its signal is aborted, and the program has not heard of it yet,
 * Deno 2.9 rejects and leaves the socket open. So the signal waits until the program must have heard of it.
 */
function giveUp(connecting: Promise<DenoConn>, late: AbortController): void {
  const timer = realTime.setTimeout(() => late.abort(), SETTLE);
  connecting.then((connection) => connection.close(), () => {}).finally(() => realTime.clearTimeout(timer as never));
}

async function listenDeno(deno: DenoApi, at: Endpoint, options?: SocketOptions): Promise<Listener> {
  checkEndpoint("listen", at);
  const bufferSize = bufferSizeOf(options);
  try {
    return new DenoListenerAdapter(await deno.listen(targetOf(at)), bufferSize);
  } catch (error) {
    throw listenError(at, error);
  }
}

function addressOf(address: DenoAddress): Address {
  return "path" in address ? { path: address.path ?? "" } : { hostname: plainIp(address.hostname), port: address.port };
}

class DenoListenerAdapter implements Listener {
  readonly address: Address;
  readonly #listener: DenoListener;
  readonly #bufferSize: number;
  #closed = false;

  constructor(listener: DenoListener, bufferSize: number) {
    this.#listener = listener;
    this.#bufferSize = bufferSize;
    this.address = addressOf(listener.addr);
  }

  close(): Promise<void> {
    if (!this.#closed) this.#listener.close(); // A second call would throw.
    this.#closed = true;
    return Promise.resolve();
  }

  unref(): void {
    if (!this.#closed) this.#listener.unref();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Connection, void, void> {
    while (!this.#closed) {
      let channel: DenoChannel;
      try {
        channel = new DenoChannel(await this.#listener.accept(), this.#bufferSize);
      } catch (error) {
        if (this.#closed) return;
        if ((error as Error).name === "BadResource") throw brokenError("Cannot accept connections", error);
        await pause(error);
        continue;
      }
      yield new Duplex(channel);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

// While the listener exists, a failure to accept concerns one peer or is temporary. A peer may have left while it
// waited (ECONNABORTED, ECONNRESET, ENOTCONN): then nothing has to be waited for. Otherwise accept(2) passes on an
// error of the network, or the process has no file descriptor left for now.
async function pause(error: unknown): Promise<void> {
  const { code } = error as { code?: string };
  if (code === "ECONNABORTED" || code === "ECONNRESET" || code === "ENOTCONN") return;
  await new Promise<void>((resolve) => realTime.setTimeout(resolve, 50));
}

/** Shared by all connections of this thread, because they share its event loop. */
const turns = new ReadTurns(rest);

class DenoChannel implements Channel, BusyReader {
  period = -1;
  readonly #connection: DenoConn;
  readonly #buffer: ReadBuffer;
  /** The reader whose read waits for a rest; `undefined` if none does. */
  #reader: ChunkReader | undefined = undefined;

  constructor(connection: DenoConn, bufferSize: number) {
    this.#connection = connection;
    this.#buffer = new ReadBuffer(bufferSize);
    connection.setNoDelay?.(true); // `Deno.connect` ignores its option, and accepted sockets have none.
  }

  get finishes(): true {
    return true;
  }

  get local(): Address {
    return addressOf(this.#connection.localAddr);
  }

  get remote(): Address {
    return addressOf(this.#connection.remoteAddr);
  }

  read(reader: ChunkReader): void {
    if (!this.#buffer.filled || turns.may(this)) this.#read(reader);
    else this.#reader = reader;
  }

  get waits(): boolean {
    return this.#reader !== undefined;
  }

  proceed(): void {
    const reader = this.#reader!;
    this.#reader = undefined;
    this.#read(reader);
  }

  #read(reader: ChunkReader): void {
    this.#connection.read(this.#buffer.room()).then(
      (count) => reader.received(count === null ? null : this.#buffer.take(count)),
      (error) => reader.received(null, error),
    );
  }

  recycle(chunk: Uint8Array): void {
    this.#buffer.recycle(chunk);
  }

  write(bytes: Uint8Array, writer: ChunkWriter): undefined {
    this.#connection.write(bytes).then(
      (sent) => sent < bytes.length ? this.write(bytes.subarray(sent), writer) : writer.taken(),
      (error) => writer.taken(error),
    );
  }

  finish(): Promise<void> {
    return this.#connection.closeWrite();
  }

  release(): void {
    this.#reader = undefined;
    this.#connection.close();
  }

  unref(): void {
    this.#connection.unref();
  }
}
