/**
 * A server and clients of the library in one process, as Python's benchmark has them, and what its five benchmarks share.
 *
 * @module
 */

import process from "node:process";
import { Client } from "../../../auto/client.ts";
import { Server } from "../../../auto/server.ts";
import { type MessageType, messageType } from "../../../message/message_type.ts";
import type { TcpEndpoint } from "../../../transport.ts";
import { Payloads, SerialCheck } from "../payloads.ts";
import { until } from "../waiting.ts";
import type { FormContext } from "./context.ts";

/** Python's message types. */
export const MOVE: MessageType<Uint8Array, Uint8Array> = messageType(401, "player_move");
/** See {@linkcode MOVE}. */
export const SHOOT: MessageType<Uint8Array, Uint8Array> = messageType(402, "player_shoot");

/** Different payloads of a sender, at most: more than a connection can lose at once unnoticed. */
const RING = 1024;

/** Bytes that the payloads of a sender may take. */
const RING_BYTES = 16 * 1024 * 1024;

/** How long to wait for messages that were sent, and for clients, in milliseconds. */
const LATE = 15_000;

/** A running server with its clients. */
export interface Ends {
  readonly server: Server;
  readonly clients: readonly Client[];
  /** The sockets in use. */
  readonly backend: string;
  /** Opens so many more connections. */
  join(count: number): Promise<void>;
  /** Closes all of them. */
  close(): Promise<void>;
}

/** Starts a server, connects so many clients, runs `measure` with them, and closes them. */
export async function withEnds<Result>(
  context: FormContext,
  count: number,
  measure: (ends: Ends) => Promise<Result>,
): Promise<Result> {
  const { config: { core }, signal } = context;
  const { bun, deno } = process.versions as Record<string, string | undefined>;
  const server = new Server({ port: 0, hostname: "127.0.0.1", transport: core });
  await server.start();
  const clients: Client[] = [];
  const ends: Ends = {
    server,
    clients,
    backend: core !== "auto" ? core : bun !== undefined ? "bun" : deno !== undefined ? "deno" : "node",
    async join(count): Promise<void> {
      for (let i = 0; i < count; i++) {
        const client = new Client({ port: (server.addresses[0] as TcpEndpoint).port, transport: core });
        clients.push(client);
        await client.connect({ signal });
      }
      // The last ones may have been let in and not be known yet.
      await until("The server has all clients", LATE, () => server.clients.length === clients.length, signal);
    },
    async close(): Promise<void> {
      // What was given up is not waited for.
      const drain = signal?.aborted ? 0 : undefined;
      await Promise.all(clients.map((client) => client.close({ drain })));
      await server.close({ drain });
    },
  };
  try {
    await ends.join(count);
    return await measure(ends);
  } finally {
    await ends.close();
  }
}

/** Messages of one type from some senders: their payloads, and the receiver's count. */
export class Stream {
  readonly #payloads: readonly Payloads[];
  readonly #check: SerialCheck;
  #arrived: (() => void) | undefined;
  #wanted = Infinity;
  sent = 0;

  constructor(senders: number, size: number) {
    const ring = Math.max(16, Math.min(RING, Math.floor(RING_BYTES / size)));
    this.#payloads = Array.from({ length: senders }, (_, sender) => new Payloads(size, sender, ring));
    this.#check = new SerialCheck(senders, ring, size);
  }

  /** How many have come. */
  get received(): number {
    return this.#check.received;
  }

  /** The next payload of a sender. */
  next(sender: number): Uint8Array {
    this.sent++;
    return this.#payloads[sender].next();
  }

  /** Takes one that came. */
  take(content: Uint8Array): void {
    this.#check.take(content);
    if (this.#check.received >= this.#wanted) this.#arrived?.();
  }

  /** Waits for all that were sent, and fails unless each came once and in order. */
  async confirm(context: FormContext): Promise<void> {
    this.#wanted = this.sent;
    if (this.received < this.sent) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
        timer = setTimeout(resolve, LATE);
        context.signal?.addEventListener("abort", () => resolve(), { once: true });
      });
      clearTimeout(timer);
      context.signal?.throwIfAborted();
    }
    context.confirm(this.sent, this.#check);
  }
}
