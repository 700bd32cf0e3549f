import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Server, type TcpEndpoint } from "../mod.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import { TimerWheel } from "../src/base/timer_wheel.ts";
import type { CloseReason } from "../src/link/close_reason.ts";
import { Offenders } from "../src/server/offenders.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { HOST, Lines, memoryWorld, Raw, until, UUID } from "./session_support.ts";

const at = (hostname: string): { hostname: string; port: number } => ({ hostname, port: 1 });

/** The first connection after a while is greeted at once, the next one is not. */
const isPaced = (offenders: Offenders, network: string): boolean =>
  [offenders.turn(network), offenders.turn(network)].some((turn) => turn !== undefined);

// deno-lint-ignore explicit-function-return-type
function make() {
  const clock = new FakeClock();
  const offenders = new Offenders(clock, new TimerWheel(clock));
  const offend = (hostname: string, times: number, reason: CloseReason = "protocol-error"): number => {
    let began = 0;
    for (let i = 0; i < times; i++) if (offenders.ended(at(hostname), reason)) began++;
    return began;
  };
  /** Lets `count` connections come at once. Returns how many were greeted within `ms`, step by step. */
  const come = async (network: string, count: number, ms: number): Promise<number> => {
    let greeted = 0;
    for (let i = 0; i < count; i++) {
      const turn = offenders.turn(network);
      if (turn === undefined) greeted++;
      else void turn.then(() => greeted++);
    }
    await clock.advance(ms);
    return greeted;
  };
  return { clock, offenders, offend, come };
}

describe("networks whose clients break the protocol", () => {
  it("are forgiven 20 faults, and then greeted a hundred times a second, while others are greeted at once", async () => {
    const { offenders, offend, come } = make();
    assertEquals([offend("192.0.2.1", 19), offenders.turn("192.0.2.1")], [0, undefined]);
    assertEquals(offend("192.0.2.1", 1), 1, "it is told once");
    assertEquals(offend("192.0.2.1", 5), 0);
    const greeted = await come("192.0.2.1", 90, 500);
    assert(greeted >= 45 && greeted <= 52, `${greeted} in half a second`);
    assertEquals(await come("192.0.2.2", 1_000, 0), 1_000);
  });

  it("wait for a second at most, a hundred of them: those beyond are greeted at once", async () => {
    const { clock, offend, offenders } = make();
    offend("192.0.2.1", 20);
    const turns = Array.from({ length: 5_000 }, () => offenders.turn("192.0.2.1"));
    const waiting = turns.filter((turn) => turn !== undefined);
    assert(waiting.length >= 99 && waiting.length <= 101, `${waiting.length} wait`);
    let greeted = 0;
    for (const turn of waiting) void turn.then(() => greeted++);
    await clock.advance(1_020);
    assertEquals(greeted, waiting.length);
  });

  it("stay at this pace until they are quiet for ten seconds", async () => {
    const { clock, offenders, offend, come } = make();
    assertEquals(offend("192.0.2.1", 20), 1);
    for (let i = 0; i < 5; i++) {
      await clock.advance(2_000);
      assert(await come("192.0.2.1", 50, 0) <= 1, "pauses do not make up for faults");
      assertEquals(offend("192.0.2.1", 3), 0, "it is not told again");
      await clock.advance(1_000);
    }
    await clock.advance(10_000);
    assertEquals(await come("192.0.2.1", 1_000, 0), 1_000);
    assertEquals(offenders.turn("192.0.2.1"), undefined);
    // One that breaks it once a second is never an offender.
    for (let i = 0; i < 100; i++) {
      await clock.advance(1_000);
      assertEquals(offend("192.0.2.9", 1), 0);
    }
  });

  it("are those whose clients were closed for a fault of their own, as IPv4 addresses and as subnets of IPv6", () => {
    const { offenders, offend } = make();
    const innocent: CloseReason[] = [
      "manual",
      "going-away",
      "peer-closed",
      "network-error",
      "heartbeat",
      "unauthorized",
    ];
    for (const reason of innocent) assertEquals(offend("192.0.2.3", 1_000, reason), 0);
    const faults: CloseReason[] = ["protocol-error", "corrupt", "message-too-large", "rate-limited"];
    faults.forEach((reason, i) => assertEquals(offend(`198.51.100.${i}`, 20, reason), 1));
    for (let i = 0; i < 20; i++) offend(`2001:db8::${i}`, 1);
    assert(isPaced(offenders, "2001:db8:0:0"));
    for (let i = 0; i < 1_000; i++) assertEquals(offenders.ended({ path: "/a" }, "protocol-error"), false);
    assertEquals(offenders.turn(""), undefined);
  });

  it("are 1,024 at most: the one whose last fault is the oldest is forgotten", () => {
    const { offenders, offend } = make();
    offend("192.0.2.1", 20);
    offend("192.0.2.2", 20);
    for (let i = 0; i < 1_022; i++) offend(`10.0.${i >> 8}.${i & 255}`, 1);
    offend("192.0.2.1", 1);
    offend("10.9.9.9", 1);
    assertEquals([isPaced(offenders, "192.0.2.2"), isPaced(offenders, "192.0.2.1")], [false, true]);
  });

  it("wait for nothing when the server stops", async () => {
    const { offenders, offend } = make();
    offend("192.0.2.1", 20);
    const turns = Array.from({ length: 10 }, () => offenders.turn("192.0.2.1"));
    assertEquals(turns.filter((turn) => turn === undefined).length, 1);
    offenders.close();
    await Promise.all(turns);
  });

  it("have their next connections greeted later, and a warning in the log", async () => {
    const world = memoryWorld();
    const log = new Lines();
    await using server = new Server({ hostname: HOST, port: 0, transport: world.transport, logger: log });
    let gone = 0;
    server.on("disconnect", () => void gone++);
    server.on("error", () => {});
    await server.start();
    const address = server.addresses[0] as TcpEndpoint;
    for (let i = 0; i < 20; i++) {
      await using raw = await Raw.connect(world, address, "native");
      // No header has all flags.
      await raw.connection.write(new Uint8Array(16).fill(0xff));
      await raw.end();
      await until(() => gone === i + 1);
    }
    assertEquals(log.lines.filter(([level]) => level === "warn").map(([, text]) => text), [
      `Connections from ${HOST} are greeted at a limited pace: its clients were closed for faults of their own again ` +
      "and again, the last one as corrupt",
    ]);
    let greeted = 0;
    const late = Array.from({ length: 4 }, async () => {
      const raw = new Raw(await world.transport.connect(address), "native");
      await raw.bytes(1).then(() => greeted++, () => {});
      raw.connection.abort();
    });
    await world.clock.settle();
    assertEquals(greeted, 1);
    await world.clock.advance(20);
    assertEquals(greeted, 2);
    // Closing waits for nobody who waits.
    await server.close({ drain: 0 });
    await Promise.all(late);
    assertEquals(greeted, 2);
  });

  it("lose a connection that gave way while it waited, even where the release has no handshake", async () => {
    const world = memoryWorld();
    const config = { hostname: HOST, port: 0, transport: world.transport, logger: new Lines(), protocol: "1.3.0" };
    const server = new Server({ ...config, maxPendingHandshakes: 1, maxMessageSize: 1_000 });
    const reasons: string[] = [];
    let connected = 0;
    server.on("connect", () => void connected++);
    server.on("disconnect", (_, { reason }) => void reasons.push(reason));
    server.on("error", () => {});
    const rejected: string[] = [];
    server.on("rejected", ({ reason }) => void rejected.push(reason));
    await server.start();
    const address = server.addresses[0] as TcpEndpoint;
    for (let i = 0; i < 20; i++) {
      await using raw = new Raw(await world.transport.connect(address), "1.3.0");
      const frame = { code: 200, content: new Uint8Array(2_000), requestId: UUID, flags: 0 };
      await raw.connection.write(encodeFrame(raw.protocol, frame));
      await raw.end();
      await until(() => reasons.length === i + 1);
    }
    assertEquals([connected, new Set(reasons).size, rejected], [20, 1, []]);
    // The first one is let in at once, the second one waits, and the third one takes its place.
    const all = [];
    for (let i = 0; i < 3; i++) {
      all.push(await world.transport.connect(address));
      await world.clock.settle();
    }
    assertEquals(connected, 21);
    await world.clock.advance(1_000);
    assertEquals([connected, rejected, reasons.length], [22, ["handshake-timeout"], 20]);
    for (const connection of all) connection.abort();
    await server.close({ drain: 0 });
  });
});
