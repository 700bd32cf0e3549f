/**
 * What the client of a pair does: it checks everything against a server. It runs in browsers, too, so it has nothing of a
 * runtime.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Client, type CloseReason, type Connection, PayloadError, RemoteError, TimeoutError } from "@veltix/core";
import { encodeFrame, protocol } from "@veltix/core/wire";
import { ClientHandshake } from "../../src/wire/handshake/client.ts";
import { type Checks, CLIENT_CHECKS, type Command, COUNT, TYPES } from "./contract.ts";

const MIB = 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** How a client comes to its server. */
export interface Way {
  /** Makes a client. */
  client(): Client;
  /** Opens a connection. `answer` returns what is sent for the first bytes of the server, if they come within. */
  open(answer: (greeting: Uint8Array) => Uint8Array): Promise<Connection>;
  /** Whether both sides compress. */
  readonly compresses: boolean;
  /** What `Client.security` says. */
  readonly security: Client["security"];
  /** True if the client's clock shows whole milliseconds only, as in browsers. A round trip may then take none. */
  readonly coarse?: boolean;
}

/** Checks everything against a server, and tells it to close in the end. */
export async function talk(checks: Checks, way: Way): Promise<void> {
  const names = [...CLIENT_CHECKS];
  const check = (name: typeof CLIENT_CHECKS[number], body: () => Promise<void>): Promise<void> => {
    assertEquals(name, names.shift());
    return checks.run(name, body);
  };

  const [client, other] = [way.client(), way.client()];
  const reasons = new Map<Client, CloseReason>();
  const heard: string[] = [];
  for (const one of [client, other]) {
    one.on("disconnect", ({ reason }) => reasons.set(one, reason));
    one.route(TYPES.who, ({ data }) => `you asked "${data}"`);
  }
  client.route(TYPES.shout, ({ data }) => heard.push(`client: ${data}`));
  const told = new Promise<string>((resolve) => other.route(TYPES.shout, ({ data }) => resolve(data)));
  const command = <Answer>(order: Command, by = client): Promise<Answer> =>
    by.request(TYPES.command, order, { timeout: 40_000 }) as Promise<Answer>;

  await check("handshake", async () => {
    let spoken = "";
    client.on("connect", ({ protocol }) => spoken = protocol);
    await client.connect();
    await other.connect();
    assertEquals([spoken, client.state, other.state], ["native", "connected", "connected"]);
    assertEquals(client.security, way.security);
  });
  for (const [name, size] of [["0 bytes", 0], ["1 byte", 1], ["64 KiB", 65536], ["5 MiB", 5 * MIB]] as const) {
    await check(`echo of ${name}`, async () => {
      const payload = new Uint8Array(size);
      for (let i = 0; i < size; i++) payload[i] = i * 31 + (i >> 8);
      assert(same(await client.request(TYPES.echo, payload, { timeout: 40_000 }), payload), "other bytes came back");
      const { bytesSavedSent = 0, bytesSavedReceived = 0 } = client.stats();
      const saved = size > 1_024 && way.compresses;
      assertEquals([bytesSavedSent > 0, bytesSavedReceived > 0], [saved, saved]);
    });
  }
  await check("request", async () => assertEquals(await client.request(TYPES.add, { a: 1, b: 2 }), 3));
  await check("remote error", async () => {
    const error = await assertRejects(() => client.request(TYPES.fail, "short and stout"), RemoteError);
    assertEquals([error.code, error.message], ["teapot", "short and stout"]);
  });
  await check("metadata there and back", async () => {
    const meta = {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      日本: "語 🦀",
      ["__proto__"]: "x",
    };
    const answer = await client.exchange(TYPES.trace, "", { meta, timeout: 40_000 });
    assertEquals(Object.entries(answer.meta), Object.entries(meta));
    assert(answer.data.left > 0 && answer.data.left <= 40_000);
    assertTime(answer.latency, way);
    assertEquals((await client.request(TYPES.trace, "", { meta })).left, -1);
  });
  await check("deadline", async () => {
    // It stops when it is cancelled: a handler that goes on would hold up the end.
    client.route(
      TYPES.stuck,
      ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    await assertRejects(() => client.request(TYPES.stuck, "", { timeout: 50 }), TimeoutError);
    let names: string[];
    do names = await command<string[]>({ do: "expired" }); while (names.length < 2);
    // Both count the same time: the server's own clock may be first, or the client's CANCEL.
    assertEquals(names[0], names[1]);
    assert(["TimeoutError", "AbortError"].includes(names[0]), names[0]);
  });
  await check("client pings server", async () => assertTime(await client.ping(), way));
  await check("server pings client", async () => assertTime(await command<number>({ do: "ping" })));
  await check("server asks client", async () => {
    assertEquals(await command({ do: "ask" }), 'you asked "who are you?"');
  });
  await check("broadcast with except", async () => {
    assertEquals(await command({ do: "shout" }), { sent: 1, dropped: 0, closed: 0 });
    assertEquals(await told, "hear, hear");
    await client.ping(); // What was sent to this client before has come by now.
    assertEquals(heard, []);
  });
  await check("16 MiB are refused at the sender", async () => {
    const error = await assertRejects(() => client.request(TYPES.echo, new Uint8Array(16 * MIB)), PayloadError);
    assertEquals([error.code, client.state], ["payload-too-large", "connected"]);
    assertEquals(await client.request(TYPES.add, { a: 2, b: 2 }), 4);
  });
  await check("10,000 messages in order both ways", async () => {
    let [received, inversions, all] = [0, 0, (): void => {}];
    const done = new Promise<void>((resolve) => all = resolve);
    client.route(TYPES.count, ({ data }) => {
      if (data !== received++) inversions++;
      if (received === COUNT) all();
    });
    for (let i = 0; i < COUNT; i++) if (!client.send(TYPES.count, i)) await client.ready();
    await done;
    assertEquals([received, inversions], [COUNT, 0]);
    assertEquals(await command({ do: "counted" }), { counted: COUNT, inversions: 0 });
  });
  await check("a frame of 16 MiB closes with message-too-large", async () => {
    const id = await command<number>({ do: "id" });
    await sendTooMuch(way);
    // The client made by hand is the third: its number follows those of the two.
    assertEquals(await command({ do: "reason", id: id + 2 }), "message-too-large");
    assertEquals(await client.request(TYPES.add, { a: 3, b: 3 }), 6);
  });
  await check("client closes: manual here, going-away there", async () => {
    const id = await command<number>({ do: "id" }, other);
    await other.close();
    assertEquals([reasons.get(other), other.state], ["manual", "disconnected"]);
    assertEquals(await command({ do: "reason", id }), "going-away");
  });
  await check("server closes: going-away here", async () => {
    await command({ do: "close" });
    await client.closed;
    assertEquals([reasons.get(client), client.state], ["going-away", "disconnected"]);
  });
  assertEquals(names, []);
}

/** A client by hand: the handshake, then one frame that is larger than anything allowed. */
async function sendTooMuch(way: Way): Promise<void> {
  const native = protocol("native");
  const machine = new ClientHandshake({ protocol: native, offer: { maxMessageSize: 10 * MIB }, now: Date.now() });
  let step = machine.start();
  const answer = (chunk: Uint8Array): Uint8Array => {
    step = machine.push(chunk);
    return step.state === "waiting" ? step.send ?? NOTHING : NOTHING;
  };
  const connection = await way.open(answer);
  while (step.state === "waiting") {
    const chunk = await connection.read();
    if (chunk === null) throw new Error("The server closed during the handshake");
    await connection.write(answer(chunk.slice()));
  }
  if (step.state === "failed") throw step.error;
  const content = new Uint8Array(16 * MIB);
  // The server may reset what it does not want to read.
  connection.write(encodeFrame(native, { code: TYPES.echo.code, content, requestId: 0, flags: 0 })).catch(() => {});
  try {
    while (await connection.read() !== null);
  } catch {
    // It did.
  }
  connection.abort();
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function assertTime(milliseconds: number, { coarse = false }: Pick<Way, "coarse"> = {}): void {
  assert((milliseconds > 0 || coarse && milliseconds === 0) && milliseconds < 5_000, `${milliseconds} ms`);
}
