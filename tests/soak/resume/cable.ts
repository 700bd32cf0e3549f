/**
 * A TCP proxy whose connections can be cut in every way in which cables are: at a byte or at a moment, by RST, by FIN, in
 * silence, in one direction only, and so that what was on its way arrives much later.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const HOST = "127.0.0.1";

/** Ways to cut that both sides notice: each side gets a RST or a FIN, the client's first. */
export const LOUD = ["reset", "finish", "reset-finish", "finish-reset"] as const;
/**
 * Ways to cut that neither side notices at once. `hole` swallows what is sent, `hole-up` only what the client sends, and
 * `hole-down` only what the server sends. `stall` reads nothing any more. `late` holds back what is sent, and passes it on
 * long after.
 */
export const SILENT = ["hole", "hole-up", "hole-down", "stall", "late"] as const;
/** All ways to cut. */
export const FATES = [...LOUD, ...SILENT] as const;
/** One of them. */
export type Fate = typeof FATES[number];

/** What a {@linkcode Cable} does. */
export interface CableConfig {
  /** The server's port. */
  readonly target: number;
  /** Called with each new connection. */
  readonly link?: (link: CableLink) => void;
  /** Returns the last number of the address that a connection comes from: 127.0.0.x. @default 1 */
  readonly from?: () => number;
}

/** A cable to one server. */
export class Cable {
  /** The connections that it carries, in the order in which they came, without those that are over. */
  readonly links = new Set<CableLink>();
  /** True while connections are reset as soon as they come. */
  refuses = false;
  readonly #server: Server;

  private constructor(server: Server, { target, link, from }: CableConfig) {
    this.#server = server;
    server.on("connection", (socket) => {
      socket.on("error", () => {});
      if (this.refuses) return void socket.resetAndDestroy();
      const carried: CableLink = new CableLink(socket, target, from?.() ?? 1, () => this.links.delete(carried));
      this.links.add(carried);
      link?.(carried);
    });
  }

  /** Listens at a free port. */
  static async listen(config: CableConfig): Promise<Cable> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen({ port: 0, host: HOST, backlog: 4_096 }, resolve));
    return new Cable(server, config);
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The newest connection that is not over. */
  get newest(): CableLink | undefined {
    return [...this.links].at(-1);
  }

  /** Ends it, and all that it carries. */
  async close(): Promise<void> {
    for (const link of this.links) link.end("finish");
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** One direction of a connection. */
class Way {
  /** How many bytes came. */
  bytes = 0;
  /** Swallows what comes. */
  swallows = false;
  /** What is held back; `undefined` if nothing is to be. */
  held: Uint8Array[] | undefined = undefined;
  /** How often it was this one's turn: what came after the other one had brought something is a new turn. */
  turns = 0;
  /** The turn before which something happens. */
  turn = Infinity;
  /** What came while the bytes before the cut are being written. */
  waiting: Uint8Array[] | undefined = undefined;
  /** The offset of the byte before which something happens. */
  at = Infinity;
  happens: () => void = () => {};
}

/** A connection that a cable carries. */
export class CableLink {
  /** Resolves when it is over on both sides. */
  readonly over: Promise<void>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #up = new Way();
  readonly #down = new Way();
  readonly #gone: () => void;
  /** The direction that has brought something last. */
  #speaks: Way | undefined = undefined;
  #ended = false;
  /** True once neither side learns of the other's end any more. */
  #apart = false;
  /** True once nothing is read any more. */
  #stalls = false;
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;

  constructor(client: Socket, port: number, from: number, gone: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#gone = (): void => {
      gone();
      resolve();
    };
    this.#client = client;
    const server = this.#server = connect({
      port,
      host: HOST,
      localAddress: `127.0.0.${from}`,
      noDelay: true,
      allowHalfOpen: true,
    });
    server.on("error", () => {});
    this.#carry(client, server, this.#up);
    this.#carry(server, client, this.#down);
  }

  /** How many bytes its client has sent. */
  get up(): number {
    return this.#up.bytes;
  }

  /** How many bytes its server has sent. */
  get down(): number {
    return this.#down.bytes;
  }

  /** True if it is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Does something before the byte at an offset of a direction is passed on, and not before it comes. */
  before(way: "up" | "down", offset: number, happens: () => void): void {
    const one = way === "up" ? this.#up : this.#down;
    one.at = offset;
    one.happens = happens;
  }

  /**
   * Does something before the client's turn of a number is passed on. Turns count from 1: what a client sends after the
   * server has sent something is a new turn.
   */
  beforeTurn(turn: number, happens: () => void): void {
    this.#up.turn = turn;
    this.#up.happens = happens;
  }

  /** Cuts it. `linger` is how long a silent end takes to become a real one, in milliseconds. */
  cut(fate: Fate, linger: number = 10_000): void {
    if (this.#ended || this.#apart) return;
    if (!(SILENT as readonly Fate[]).includes(fate)) return this.end(fate);
    this.#apart = true;
    const [up, down] = [this.#up, this.#down];
    if (fate === "hole" || fate === "hole-up") up.swallows = true;
    if (fate === "hole" || fate === "hole-down") down.swallows = true;
    if (fate === "late") this.hold();
    if (fate === "stall") {
      this.#stalls = true;
      this.#client.pause();
      this.#server.pause();
    }
    this.#timer = setTimeout(() => {
      if (fate !== "late") return this.end("reset");
      this.release();
      this.#timer = setTimeout(() => this.end("finish"), linger);
    }, linger);
  }

  /** Holds back what comes from now on, also after an end that the other side is not told of. */
  hold(): void {
    this.#apart = true;
    this.#up.held ??= [];
    this.#down.held ??= [];
  }

  /** Passes on what is held back. */
  release(): void {
    for (const [way, to] of [[this.#up, this.#server], [this.#down, this.#client]] as const) {
      for (const chunk of way.held ?? []) if (to.writable) to.write(chunk);
      way.held = undefined;
    }
  }

  /** Ends it at once. */
  end(fate: Fate): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    finish(this.#client, fate === "reset" || fate === "reset-finish");
    finish(this.#server, fate === "reset" || fate === "finish-reset");
    this.#gone();
  }

  #carry(from: Socket, to: Socket, way: Way): void {
    from.on("data", (chunk: Uint8Array) => {
      if (this.#speaks !== way) way.turns++;
      this.#speaks = way;
      const before = way.turns >= way.turn ? 0 : way.at - way.bytes;
      way.bytes += chunk.length;
      if (way.waiting !== undefined) return void way.waiting.push(chunk);
      if (before >= chunk.length) return this.#pass(chunk, from, to, way);
      const { happens } = way;
      way.at = way.turn = Infinity;
      way.waiting = [chunk.subarray(before)];
      const go = (): void => {
        const rest = way.waiting!;
        way.waiting = undefined;
        happens();
        if (!this.#ended) { for (const part of rest) this.#pass(part, from, to, way); }
      };
      // What comes before the cut must be on its way before the socket is destroyed.
      if (before > 0 && to.writable && !way.swallows && way.held === undefined) to.write(chunk.subarray(0, before), go);
      else go();
    });
    from.on("end", () => {
      if (!this.#apart && !this.#ended) to.end();
    });
    from.on("close", (failed) => {
      if (this.#client.destroyed && this.#server.destroyed) this.end("finish");
      else if (failed && !this.#apart) this.end("reset");
    });
  }

  #pass(chunk: Uint8Array, from: Socket, to: Socket, way: Way): void {
    if (way.held !== undefined) return void way.held.push(chunk);
    if (way.swallows || !to.writable || to.write(chunk)) return;
    from.pause();
    to.once("drain", () => {
      if (!this.#stalls) from.resume();
    });
  }
}

function finish(socket: Socket, reset: boolean): void {
  if (reset) socket.resetAndDestroy();
  else socket.destroy();
}
