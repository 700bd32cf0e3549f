/**
 * The two ends of a WebSocket with the library, each as a process. Either sends, and either stops taking what comes until it
 * is told to go on.
 *
 * @module
 */

import {
  bytes,
  Client,
  type ConnectedClient,
  json,
  messageType,
  Server,
  streamType,
  type TcpEndpoint,
} from "@veltix/core";
import type { Commands } from "../../processes/role.ts";
import { type Came, Intake, LOAD_CODE, payload } from "./load.ts";
import { type Held, Watch } from "./watch.ts";

const LOAD = messageType(LOAD_CODE, "load", bytes);
/** A stream of payloads. Its answer is what came. */
const STREAM = streamType(201, "stream", { down: false, result: json<Came>() });

/** A question for so many bytes. */
const ASK = messageType(202, "ask", json<number>(), bytes);

/** A ping every so many milliseconds. */
const PACE = 10;
/** How often it is looked at what has come, in milliseconds. */
const LOOK = 5;

interface Giving {
  /** Bytes of payloads that were accepted for sending. */
  bytes: number;
  /** True when all of them have been. */
  done: boolean;
  /** What ended it before. */
  error: string | undefined;
}

/** An end without anything to send looks soon whether it still can. */
const HEARTBEAT = { idle: 2_000 };

/** How much was given away. */
export type Given = Readonly<Giving>;

/** How a connection ended. */
export interface End {
  readonly reason: string;
  readonly error: string;
}

/** Sends and takes payloads through one peer, as either end does. */
class Ends {
  readonly intake = new Intake();
  readonly ends: End[] = [];
  #given: Giving = { bytes: 0, done: false, error: undefined };
  #gate: PromiseWithResolvers<void> | undefined = undefined;
  #result: Promise<Came> | undefined = undefined;

  /** Takes a message, unless it is held. */
  readonly message = async ({ content }: { readonly content: Uint8Array }): Promise<void> => {
    await this.#gate?.promise;
    this.intake.take(content);
  };

  /** Takes a stream, unless it is held. */
  readonly incoming = async ({ readable }: { readonly readable: ReadableStream<Uint8Array> }): Promise<Came> => {
    const intake = new Intake();
    await this.#gate?.promise;
    for await (const chunk of readable) intake.take(chunk);
    return intake.end();
  };

  hold(): void {
    this.#gate = Promise.withResolvers();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  get given(): Given {
    return { ...this.#given };
  }

  /** Begins to send so many bytes by messages. */
  send(peer: Client | ConnectedClient, bytes: number): void {
    void this.#give(bytes, async (content) => {
      if (!peer.send(LOAD, content)) await peer.ready();
    });
  }

  /** Begins to send so many bytes by a stream. */
  stream(peer: Client | ConnectedClient, bytes: number): void {
    const { result, writable } = peer.open(STREAM);
    this.#result = result;
    const writer = writable.getWriter();
    result.catch(() => {});
    void this.#give(bytes, (content) => writer.write(content)).then(() => writer.close()).catch(() => {});
  }

  /** Resolves with what came of the last stream, as its receiver says. */
  arrived(): Promise<Came> {
    return this.#result!;
  }

  async #give(bytes: number, give: (content: Uint8Array) => Promise<void>): Promise<void> {
    const given: Giving = this.#given = { bytes: 0, done: false, error: undefined };
    try {
      for (let i = 0; given.bytes < bytes; i++) {
        const content = payload(i);
        const room = give(content);
        given.bytes += content.length;
        await room;
      }
      given.done = true;
    } catch (error) {
      given.error = String(error);
    }
  }
}

function commandsOf(end: Ends, peer: () => Client | ConnectedClient, watch: Watch): Omit<Commands, "close"> {
  return {
    begin: () => watch.begin(),
    most: (): Held => watch.most(),
    hold: () => end.hold(),
    release: () => end.release(),
    send: (bytes: number) => end.send(peer(), bytes),
    stream: (bytes: number) => end.stream(peer(), bytes),
    given: (): Given => end.given,
    arrived: (): Promise<Came> => end.arrived(),
    /** Resolves with what has come once it is so many bytes. */
    async came(bytes: number): Promise<Came> {
      while (end.intake.bytes < bytes) await new Promise((resolve) => setTimeout(resolve, LOOK));
      return end.intake.end();
    },
    /** Asks so often for so many bytes, all at once. Returns how many answers came as they should. */
    async ask({ count, size }: { count: number; size: number }): Promise<number> {
      const asking = Array.from({ length: count }, () => peer().request(ASK, size, { timeout: 60_000 }));
      const answers = await Promise.allSettled(asking);
      return answers.filter((one) => one.status === "fulfilled" && one.value.length === size).length;
    },
    ends: (): readonly End[] => end.ends.splice(0),
  };
}

/** Plays the server. */
export async function serve(): Promise<Commands> {
  const end = new Ends();
  let newest: ConnectedClient | undefined;
  const watch = await Watch.make(() => server.stats().bufferedBytes);
  // What is wrong with hostile clients goes to `ends`.
  const logger = { warn(): void {}, error(): void {} };
  const server = new Server({
    listen: [{ port: 0, hostname: "127.0.0.1", webSocket: true }],
    heartbeat: HEARTBEAT,
    logger,
  });
  server.route(LOAD, end.message, { ordered: true });
  server.stream(STREAM, end.incoming);
  server.route(ASK, ({ data }) => new Uint8Array(data));
  server.on("connect", (client) => newest = client);
  server.on("disconnect", (_, { error, reason }) => void end.ends.push({ reason, error: String(error) }));
  server.on(
    "rejected",
    ({ error, reason }) => void end.ends.push({ reason: `rejected: ${reason}`, error: String(error) }),
  );
  await server.start();
  return {
    ...commandsOf(end, () => newest!, watch),
    ready: (server.addresses[0] as TcpEndpoint).port,
    async close(): Promise<void> {
      watch.stop();
      end.release();
      await server.close({ drain: 0 });
    },
  };
}

/** Plays a client. */
export async function talk({ aside }: { aside: number }): Promise<Commands> {
  const end = new Ends();
  let client: Client | undefined;
  const watch = await Watch.make(() => client?.stats().bufferedBytes ?? 0);
  const logger = { warn(): void {}, error(): void {} };
  const other = await Pings.of(aside);
  return {
    ...commandsOf(end, () => client!, watch),
    async connect(port: number): Promise<void> {
      await client?.close({ drain: 0 });
      client = new Client({ url: `ws://127.0.0.1:${port}/`, heartbeat: HEARTBEAT, logger });
      client.route(LOAD, end.message, { ordered: true });
      client.stream(STREAM, end.incoming);
      client.route(ASK, ({ data }) => new Uint8Array(data));
      client.on("disconnect", ({ error, reason }) => void end.ends.push({ reason, error: String(error) }));
      await client.connect();
    },
    leave: () => client!.close({ drain: 0 }),
    pings: () => other.take(),
    async close(): Promise<void> {
      watch.stop();
      end.release();
      await client?.close({ drain: 0 });
      await other.close();
    },
  };
}

/** Plays a client that only pings. */
export async function ping({ port }: { port: number }): Promise<Commands> {
  const pings = await Pings.of(port);
  return { pings: () => pings.take(), close: () => pings.close() };
}

/** Pings of a client that has nothing to do with what goes on. */
class Pings {
  readonly #client: Client;
  readonly #timer: ReturnType<typeof setInterval>;
  #taken: number[] = [];

  private constructor(client: Client) {
    this.#client = client;
    this.#timer = setInterval(() => {
      const start = performance.now();
      client.ping().then(() => this.#taken.push(performance.now() - start), () => this.#taken.push(Infinity));
    }, PACE);
  }

  static async of(port: number): Promise<Pings> {
    const client = new Client({ url: `ws://127.0.0.1:${port}/` });
    await client.connect();
    return new Pings(client);
  }

  /** Returns what they took since the last time, in milliseconds; infinite where there was no answer. */
  take(): number[] {
    const taken = this.#taken;
    this.#taken = [];
    return taken;
  }

  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.#client.close({ drain: 0 });
  }
}
