/** Peers and networks that mean no good to a session with resumption. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bytes,
  Client,
  type ConnectedClient,
  messageType,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { KeptBytes } from "../src/link/kept_bytes.ts";
import { Segments } from "../src/link/segments.ts";
import { BufferPool } from "../src/link/buffer_pool.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { collectGarbage } from "./garbage.ts";
import { Conversation } from "./resume_support.ts";
import { HOST, memoryWorld, message, Raw, Recorder, turn, until, type World, WORLDS } from "./session_support.ts";
import { join } from "./wire_support.ts";

const NEWS = messageType(200, "news", text);
const BULK = messageType(202, "bulk", bytes);

/** A server with `resume`, to which clients by hand come. */
class Base implements AsyncDisposable {
  readonly server: Server;
  readonly events: Recorder;
  readonly world: World;

  constructor(config: ServerConfig = {}, world: World = memoryWorld()) {
    const { transport } = this.world = world;
    this.server = new Server({ hostname: HOST, port: 0, transport, logger: undefined, resume: true, ...config });
    this.events = new Recorder(this.server, ["connect", "suspended", "resumed", "disconnect", "error"]);
    this.server.route(NEWS, () => {});
    this.server.route(BULK, () => {});
  }

  async start(): Promise<this> {
    await this.server.start();
    return this;
  }

  /** Connects, and says that it keeps `buffer` bytes. */
  async call(buffer = 1_048_576): Promise<{ raw: Raw; client: ConnectedClient<undefined> }> {
    const raw = new Raw(await this.world.transport.connect(this.server.addresses[0] as TcpEndpoint), "native");
    await raw.message();
    const features = { credit: { window: 1_000_000 }, goaway: {}, resume: { buffer } };
    const native = { versions: [1], features, maxMessageSize: 10_485_760 };
    await raw.connection.write(message({ v: "2.0.0", meta: { native } }));
    await raw.message();
    const [client] = await this.events.next("connect");
    return { raw, client };
  }

  /** A client whose connection was lost. */
  async suspended(): Promise<ConnectedClient<undefined>> {
    const { raw, client } = await this.call();
    await raw.send({ code: SystemCode.ACK, content: new Uint8Array(8) });
    await until(() => client.stats().bytesReceived > 0);
    raw.connection.abort();
    await this.events.next("suspended");
    return client;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server.close({ drain: 0 });
  }
}

/** The offset of the next ACK that a peer by hand reads. */
async function nextAck(raw: Raw): Promise<number> {
  for (;;) {
    const frame = (await raw.frame())!;
    if (frame.code !== SystemCode.ACK) continue;
    const { buffer, byteOffset } = frame.content;
    return Number(new DataView(buffer, byteOffset).getBigUint64(0));
  }
}

describe("a session whose peer acknowledges nothing", () => {
  it("is over once where the write that is cut was one too many", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using talk = new Conversation({
      buffer: 65_536,
      limits: { maxMessageSize: 65_536 },
      first: {
        faults: ({ side }) => side === "server" ? { freeze: { after: 0, until: promise } } : undefined,
        pipeSize: 2_000_000,
      },
    });
    const { server } = talk;
    const { sender, link } = server.peer.session;
    const most = 65_536 + 65_536 + 1_048_576;
    while (link.written < most - 100_000) {
      sender.control("credit", SystemCode.CREDIT, 0, new Uint8Array(16_384));
      await turn();
    }
    assertEquals(server.over, undefined);
    sender.control("credit", SystemCode.CREDIT, 0, new Uint8Array(200_000));
    assert(link.written > most);
    server.peer.session.suspend("network-error");
    assertEquals([server.over?.reason, server.suspensions], ["slow-consumer", []]);
    resolve();
  });

  it("holds hardly more than the bytes of its small writes, and writes them again together", () => {
    const segments = new Segments(new BufferPool());
    const kept = new KeptBytes(1e6, 1e6, segments);
    const all: Uint8Array[] = [];
    for (let n = 0; n < 10_000; n++) {
      const frame = new Uint8Array(16 + n % 5).fill(n);
      all.push(frame);
      const segment = segments.room(frame.length, true);
      segment.bytes.set(frame);
      segment.used = frame.length;
      const written = segments.next()!;
      // Every hundredth is one that overtakes.
      const ordered = n % 100 === 0 ? 0 : frame.length;
      kept.add(written.bytes.subarray(0, written.used), written, kept.written, kept.written + ordered);
      segments.advance(frame.length);
      kept.settled();
    }
    const whole = join(...all);
    for (const acknowledged of [0, 7, 1_000, Math.floor(whole.length / 2)]) {
      kept.acknowledge(acknowledged);
      kept.cut();
      assertEquals(kept.rewind(), whole.length - acknowledged);
      const again: Uint8Array[] = [];
      while (kept.rewound) {
        again.push(kept.next(1e6).slice());
        kept.settled();
      }
      assertEquals(join(...again), whole.subarray(acknowledged));
      assert(again.length < 300, `${again.length} writes`);
    }
  });

  it("forgets what is acknowledged, although there is always something that is not", async () => {
    const segments = new Segments(new BufferPool());
    const kept = new KeptBytes(1e9, 1e9, segments);
    const large: WeakRef<ArrayBufferLike>[] = [];
    for (let n = 0; n < 50; n++) {
      const before = kept.written;
      // The first one is small, so that it is copied out of its buffer.
      const bytes = new Uint8Array(n === 0 ? 10 : 100_000);
      if (n > 0) large.push(new WeakRef(bytes.buffer));
      segments.put(bytes);
      const segment = segments.next()!;
      kept.add(segment.bytes.subarray(0, segment.used), segment, before, before + segment.used);
      segments.advance(segment.used);
      kept.settled();
      kept.acknowledge(before);
    }
    // What a WeakRef has held in this turn stays until the next one.
    await turn();
    collectGarbage();
    const alive = large.filter((buffer) => buffer.deref() !== undefined).length;
    assert(alive < 10, `${alive} of ${large.length} are alive`);
    assertEquals(kept.size, 100_000);
  });
});

describe("a server with resume and a client on a slow line", () => {
  it("says at least once a second how much of a large message has come", async () => {
    await using base = await new Base().start();
    await using raw = (await base.call()).raw;
    const whole = raw.encode({ code: BULK.code, content: new Uint8Array(100_000) });
    let sent = 0;
    const send = async (size: number): Promise<void> => {
      const { bytesReceived } = base.server.clients[0].stats();
      await raw.connection.write(whole.slice(sent, sent += size));
      await until(() => base.server.clients[0].stats().bytesReceived === bytesReceived + size);
    };
    for (const size of [20_000, 30_000]) {
      await send(size);
      await base.world.clock.advance(1_100);
      assertEquals(await nextAck(raw), sent);
    }
    // A frame that is complete is acknowledged as soon as ever.
    await send(10_000);
    await send(whole.length - sent);
    await base.world.clock.advance(250);
    assertEquals(await nextAck(raw), sent);
  });

  it("is not made to acknowledge each of its bytes", async () => {
    await using base = await new Base({}, memoryWorld({ pipeSize: 4_096 })).start();
    await using raw = (await base.call(1)).raw;
    const one = raw.encode({ code: NEWS.code, content: "12345678" });
    for (let n = 0; n < 2_000; n++) await raw.connection.write(one);
    const [client] = base.server.clients;
    await until(() => client.stats().framesReceived >= 1_800);
    const { bytesSent, bufferedBytes } = client.stats();
    assert(bytesSent + bufferedBytes < 4_000, `${bytesSent} + ${bufferedBytes}`);
  });
});

describe("a broadcast to suspended clients", () => {
  it("leaves out those for which it is more than they keep, and ends none of their sessions", async () => {
    await using base = await new Base().start();
    for (let n = 0; n < 40; n++) await base.suspended();
    const large = new Uint8Array(2_000_000);
    assertEquals(base.server.broadcast(BULK, large), { sent: 0, dropped: 40, closed: 0 });
    assertEquals(base.server.broadcast(BULK, large, { latest: "x" }), { sent: 0, dropped: 40, closed: 0 });
    const most = large.subarray(0, 900_000);
    const latest = { latest: "x" };
    for (let n = 0; n < 3; n++) assertEquals(base.server.broadcast(BULK, most, latest).sent, 40);
    await base.world.clock.advance(1_100);
    assertEquals(base.server.stats().suspended, 40);
    assertEquals(base.events.of("disconnect"), []);
  });
});

describe("a session that ends for good", () => {
  for (const world of WORLDS) {
    it(`is not waited for after a close without drain, ${world.name}`, async () => {
      await using base = await new Base({}, await world.make()).start();
      const { transport } = base.world;
      const at = base.server.addresses[0] as TcpEndpoint;
      await using client = new Client({ ...at, transport, reconnect: true, resume: true });
      const events = new Recorder(client, ["suspended", "disconnect"]);
      await client.connect();
      client.send(NEWS, "");
      let [there] = await base.events.next("connect");
      await until(() => there.stats().framesReceived > 1);
      await client.close({ drain: 0 });
      assertEquals((await base.events.next("disconnect"))[1].reason, "going-away");

      await client.connect();
      client.send(NEWS, "");
      [there] = await base.events.next("connect");
      await until(() => there.stats().framesReceived > 1);
      await there.close("manual", { drain: 0 });
      await events.next("disconnect");
      assertEquals((await events.next("disconnect"))[0].reason, "going-away");
      assertEquals([base.events.of("suspended"), events.of("suspended")], [[], []]);
      client.stopRetry();
    });
  }

  it("says so when the peer has broken the protocol", async () => {
    await using base = await new Base().start();
    await using raw = (await base.call()).raw;
    await raw.send({ code: SystemCode.ACK, content: new Uint8Array([0, 0, 0, 0, 0, 0, 1, 0]) });
    for (;;) {
      const frame = (await raw.frame())!;
      if (frame.code !== SystemCode.GOAWAY) continue;
      assertEquals(JSON.parse(new TextDecoder().decode(frame.content)).code, "protocol-error");
      break;
    }
    assertEquals(await raw.frame(), null);
    await raw.connection.closeWrite();
    assertEquals((await base.events.next("disconnect"))[1].reason, "protocol-error");
  });
});
