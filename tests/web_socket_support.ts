/**
 * The part that the tests of WebSockets share: the servers that take them on this runtime, and peers that speak HTTP and
 * frames by hand.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, createServer as createRelay, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type MessageType, messageType, Server, type ServerConfig, type TcpEndpoint, text } from "../mod.ts";
import { type WebSocketHandler, webSocketHandler, type WebSocketServerOptions } from "../src/auto/websocket.ts";
import { limited, until } from "./processes/waiting.ts";
import { HOST } from "./protected_support.ts";
import { Recorder } from "./session_support.ts";
import { CA, SERVER } from "./tls_support.ts";
import { join, RUNTIME_INDEX, utf8 } from "./wire_support.ts";

export const UPPER: MessageType<string, string, string, string> = messageType(200, "upper", text, text);
/** How long anything may take, in milliseconds. */
export const LIMIT = 20_000;
export const RUNTIME = (["bun", "deno", "node"] as const)[RUNTIME_INDEX];

/** A server that takes WebSockets. */
export interface Served extends AsyncDisposable {
  readonly server: Server<unknown>;
  readonly port: number;
  /** The URL for clients. */
  readonly url: string;
  readonly events: Recorder;
}

/** A way to take WebSockets. */
export interface Kind {
  readonly name: "a listener" | "node:http" | "node:https" | "Deno.serve" | "Bun.serve";
  serve(webSocket?: WebSocketServerOptions, config?: ServerConfig<unknown>): Promise<Served>;
}

interface ListeningHttp {
  readonly port: number;
  stop(): Promise<void> | void;
}

interface Runtimes {
  readonly Deno?: {
    serve(
      options: { port: number; hostname: string; onListen(): void },
      handler: (request: Request, info: object) => Response,
    ): { readonly addr: TcpEndpoint; shutdown(): Promise<void> };
  };
  readonly Bun?: {
    serve(options: object): { readonly port: number; stop(closeConnections: boolean): void };
  };
}

const { Bun, Deno } = globalThis as Runtimes;

/** A listener of the server's own. */
export const LISTENER: Kind = {
  name: "a listener",
  serve: async (webSocket = {}, config = {}) => {
    const { tls, ...rest } = config;
    const server = new Server<unknown>({
      ...rest,
      listen: [{ port: 0, hostname: HOST, webSocket: { path: "/veltix", ...webSocket }, ...tls && { tls } }],
    });
    const served = await begin(server);
    const { port } = server.addresses[0] as TcpEndpoint;
    return { ...served, port, url: `${tls ? "wss" : "ws"}://${HOST}:${port}/veltix`, ...ending(server) };
  },
};

/** All ways of this runtime. */
export const KINDS: readonly Kind[] = [
  LISTENER,
  handled("node:http", "ws", async ({ upgrade }) => await listening(createServer().on("upgrade", upgrade))),
  ...Deno === undefined ? [] : [handled("Deno.serve", "ws", ({ fetch }) => {
    const http = Deno.serve({ port: 0, hostname: HOST, onListen: () => {} }, fetch);
    return Promise.resolve({ port: http.addr.port, stop: () => http.shutdown() });
  })],
  ...Bun === undefined ? [] : [handled("Bun.serve", "ws", ({ fetch, websocket }) => {
    const server = Bun.serve({ port: 0, hostname: HOST, fetch, websocket });
    return Promise.resolve({ port: server.port, stop: () => server.stop(true) });
  })],
];

/** A server of `node:https`, with the certificate of the tests. */
export const HTTPS: Kind = handled(
  "node:https",
  "wss",
  async ({ upgrade }) =>
    await listening(
      createTlsServer({
        cert: SERVER.cert as string,
        key: SERVER.key as string,
        ca: CA,
        requestCert: true,
        rejectUnauthorized: false,
      }).on("upgrade", upgrade),
    ),
);

function handled(
  name: Kind["name"],
  scheme: string,
  listen: (handler: WebSocketHandler) => Promise<ListeningHttp>,
): Kind {
  return {
    name,
    serve: async (webSocket = {}, config = {}) => {
      const server = new Server<unknown>({ ...config, listen: [] });
      const served = await begin(server);
      const http = await listen(webSocketHandler(server, { path: "/veltix", ...webSocket }));
      const { port } = http;
      return { ...served, port, url: `${scheme}://${HOST}:${port}/veltix`, ...ending(server, http.stop) };
    },
  };
}

async function listening(server: ReturnType<typeof createServer>): Promise<ListeningHttp> {
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function begin(server: Server<unknown>): Promise<{ server: Server<unknown>; events: Recorder }> {
  const events = new Recorder(server, ["rejected", "connect", "disconnect", "error"]);
  server.route(UPPER, ({ data }) => data.toUpperCase());
  await server.start();
  return { server, events };
}

function ending(server: Server<unknown>, stop: () => Promise<void> | void = () => {}): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      await server.close({ drain: 0 });
      await stop();
    },
  };
}

/** Passes connections on to a port. */
export interface Relay extends AsyncDisposable {
  readonly port: number;
  /** Sends bytes to the server, after what the clients have sent. */
  inject(bytes: Uint8Array): void;
  /** Sends bytes to the clients, after what the server has sent. */
  injectBack(bytes: Uint8Array): void;
  /** Cuts all connections. */
  cut(): void;
}

/**
 * Passes connections on to a port.
 *
 * @param headers More headers in their requests.
 */
export async function relayTo(port: number, headers = ""): Promise<Relay> {
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const servers = new Set<Socket>();
  const relay = createRelay((near) => {
    const far = connect({ port, host: HOST });
    clients.add(near);
    servers.add(far);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        near.destroy();
        far.destroy();
      });
    }
    near.once("data", (request: Uint8Array) => {
      far.write(new TextDecoder("latin1").decode(request).replace("\r\n", `\r\n${headers}`));
      near.pipe(far);
    });
    far.pipe(near);
  });
  await new Promise<void>((resolve) => relay.listen(0, HOST, resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (relay.address() as { port: number }).port,
    inject: (bytes) => {
      for (const far of servers) far.write(bytes);
    },
    injectBack: (bytes) => {
      for (const near of clients) near.write(bytes);
    },
    cut,
    [Symbol.asyncDispose]: () => {
      cut();
      relay.close();
      return Promise.resolve();
    },
  };
}

/** The headers of a request; `undefined` leaves one out, and an array repeats it. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Returns a good request for a WebSocket, but for what is changed. */
export function requestText(port: number, headers: RequestHeaders = {}, line = "GET /veltix HTTP/1.1"): string {
  const all: RequestHeaders = {
    Host: `${HOST}:${port}`,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "veltix.1",
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`)
  );
  return `${line}\r\n${lines.join("")}\r\n`;
}

/** An answer of an HTTP server. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A socket by which a test speaks HTTP and frames. */
export class RawSocket implements AsyncDisposable {
  readonly #socket: Socket;
  #bytes: Uint8Array = new Uint8Array(0);
  /** True if only the last bytes are kept. */
  #counts = false;
  #count = 0;
  #ended = false;
  #changed = Promise.withResolvers<void>();
  /** Resolves when the server has ended its direction, or the connection is lost. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const change = (): void => {
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    };
    socket.on("data", (chunk: Uint8Array) => {
      this.#count += chunk.length;
      this.#bytes = this.#counts ? join(this.#bytes.slice(-100), chunk) : join(this.#bytes, chunk);
      change();
    });
    socket.on("error", () => {});
    const ended = Promise.withResolvers<void>();
    const end = (): void => {
      this.#ended = true;
      ended.resolve();
      change();
    };
    socket.on("end", end);
    socket.on("close", end);
    this.closed = ended.promise;
  }

  /** Connects to a port. */
  static async connect(port: number, tls?: object): Promise<RawSocket> {
    const socket = tls === undefined
      ? connect({ port, host: HOST, allowHalfOpen: true })
      : connectTls({ port, host: HOST, ca: CA, servername: "localhost", ...tls });
    await new Promise<void>((resolve, reject) => {
      socket.once(tls === undefined ? "connect" : "secureConnect", resolve);
      socket.once("error", reject);
    });
    return new RawSocket(socket);
  }

  /** Takes what has come. */
  take(): Uint8Array {
    const bytes = this.#bytes;
    this.#bytes = new Uint8Array(0);
    return bytes;
  }

  /** Connects, and opens a WebSocket. */
  static async open(port: number, headers: RequestHeaders = {}): Promise<RawSocket> {
    const raw = await RawSocket.connect(port);
    raw.write(requestText(port, headers));
    const { status } = await raw.answer(false);
    if (status !== 101) throw new Error(`The status is ${status}`);
    return raw;
  }

  /** All that has come and was not taken, as text. */
  get text(): string {
    return new TextDecoder("latin1").decode(this.#bytes);
  }

  /** The frames that have come. */
  get frames(): readonly RawFrame[] {
    return framesOf(this.#bytes);
  }

  write(bytes: Uint8Array | string): void {
    this.#socket.write(typeof bytes === "string" ? utf8(bytes) : bytes);
  }

  /** Ends this direction. */
  end(): void {
    this.#socket.end();
  }

  /** Stops reading. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again, and keeps only the last bytes from now on. */
  resume(): void {
    this.#counts = true;
    this.#socket.resume();
  }

  /** How many bytes have come. */
  get count(): number {
    return this.#count;
  }

  /** Waits until something holds of what has come. */
  async until(what: string, holds: () => boolean): Promise<void> {
    await limited(
      what,
      LIMIT,
      (async () => {
        while (!holds()) {
          if (this.#ended) throw new Error(`${what}: the connection has ended, after ${JSON.stringify(this.text)}`);
          await this.#changed.promise;
        }
      })(),
    );
  }

  /**
   * Takes an answer of HTTP.
   *
   * @param whole True to wait for the whole body, which has a length.
   */
  async answer(whole = true): Promise<Answer> {
    const end = (): number => this.text.indexOf("\r\n\r\n");
    await this.until("an answer", () => end() >= 0);
    const [line, ...lines] = this.text.slice(0, end()).split("\r\n");
    const headers = new Headers(lines.map((one) => {
      const at = one.indexOf(":");
      return [one.slice(0, at), one.slice(at + 1).trim()];
    }));
    const from = end() + 4;
    const size = whole ? Number(headers.get("content-length") ?? 0) : 0;
    await this.until("its body", () => this.#bytes.length >= from + size);
    const body = this.text.slice(from, from + size);
    this.#bytes = this.#bytes.slice(from + size);
    return { status: Number(line.split(" ")[1]), headers, body };
  }

  /** Waits until the server has ended its direction, or the connection is lost. */
  async over(what = "the end"): Promise<void> {
    await limited(what, LIMIT, this.closed);
  }

  /** Waits until the server has let go of the connection: it has no use for more bytes. */
  async lost(): Promise<void> {
    await this.over();
    await until("the connection is lost", LIMIT, () => {
      if (!this.#socket.destroyed) this.#socket.write("more");
      return this.#socket.destroyed;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.once("close", resolve));
    if (this.#socket.destroyed) return;
    this.#socket.destroy();
    await closed;
  }
}

/** A frame that has come. */
export interface RawFrame {
  readonly opcode: number;
  readonly content: Uint8Array;
}

/** The code of a close frame; 1005 if it has none. */
export function closeCodeOf({ content }: RawFrame): number {
  return content.length < 2 ? 1005 : content[0] << 8 | content[1];
}

/** What a frame says about itself. */
export interface FrameShape {
  readonly opcode?: number;
  readonly fin?: boolean;
  /** The three reserved bits, the first of which is 4. */
  readonly reserved?: number;
  readonly mask?: boolean;
  readonly content?: Uint8Array;
  /** The length that it announces, if it is not that of the content. */
  readonly length?: bigint;
  /** How many bits the length takes, if there is a shorter way. */
  readonly bits?: 7 | 16 | 64;
}

/** Returns a frame as a client sends it, but for what is changed. */
export function frame({
  opcode = 2,
  fin = true,
  reserved = 0,
  mask = true,
  content = new Uint8Array(0),
  length = BigInt(content.length),
  bits = length < 126n ? 7 : length < 65_536n ? 16 : 64,
}: FrameShape): Uint8Array {
  const first = (fin ? 0x80 : 0) | reserved << 4 | opcode;
  const masked = mask ? 0x80 : 0;
  const size = new DataView(new ArrayBuffer(8));
  size.setBigUint64(0, length);
  const sizes = new Uint8Array(size.buffer);
  const header = bits === 7
    ? [masked | Number(length)]
    : bits === 16
    ? [masked | 126, ...sizes.slice(6)]
    : [masked | 127, ...sizes];
  const key = [0x1b, 0x2c, 0x3d, 0x4e];
  const body = mask ? content.map((byte, i) => byte ^ key[i % 4]) : content;
  return join(Uint8Array.of(first, ...header, ...mask ? key : []), body);
}

/** Returns a close frame. */
export function closeFrame(code: number, reason: Uint8Array | string = "", mask = true): Uint8Array {
  const text = typeof reason === "string" ? utf8(reason) : reason;
  return frame({ opcode: 8, content: join(Uint8Array.of(code >> 8, code & 0xff), text), mask });
}

function framesOf(bytes: Uint8Array): RawFrame[] {
  const frames: RawFrame[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 2 <= bytes.length;) {
    const opcode = bytes[at] & 0xf;
    const masked = (bytes[at + 1] & 0x80) !== 0;
    let size = bytes[at + 1] & 0x7f;
    let begin = at + 2;
    if (size === 126 && begin + 2 <= bytes.length) {
      size = view.getUint16(begin);
      begin += 2;
    } else if (size === 127 && begin + 8 <= bytes.length) {
      size = Number(view.getBigUint64(begin));
      begin += 8;
    } else if (size > 125) break;
    const key = bytes.subarray(begin, begin + (masked ? 4 : 0));
    begin += key.length;
    if (begin + size > bytes.length) break;
    const content = bytes.slice(begin, begin + size).map((byte, i) => masked ? byte ^ key[i % 4] : byte);
    frames.push({ opcode, content });
    at = begin + size;
  }
  return frames;
}
