/** The events about single messages, and that they cost nothing without a listener. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type FrameInfo, messageType, type SettledInfo, text } from "../mod.ts";
import { COMMON_OPTIONS } from "../src/app/config.ts";
import { EndpointCore } from "../src/app/endpoint_core.ts";
import { readOptions } from "../src/base/checks.ts";
import { TRAFFIC_EVENTS } from "../src/session/observers.ts";
import { face, Lines, memoryWorld, Raw, Recorder, serve, SPOKEN, until, WORLDS } from "./session_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const REQUEST = 1;

const show = (events: [FrameInfo][]): string[] => events.map(([{ kind, code, size }]) => `${kind} ${code} ${size}`);

for (const { name, make } of WORLDS) {
  describe(`traffic events, ${name},`, () => {
    it("tell of every frame on both sides, once, with what it is", async () => {
      const world = await make();
      await using served = await serve(world, {}, (server) => {
        server.route(NOTE, () => {});
        server.route(WORK, ({ data }) => {
          if (data === "fail") throw new Error("failed");
          return data.toUpperCase();
        });
      });
      const onServer = new Recorder(served.server, TRAFFIC_EVENTS);
      const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
      const onClient = new Recorder(client, TRAFFIC_EVENTS);
      await client.connect();
      const [info] = await served.events.next("connect");
      client.send(NOTE, "four");
      assertEquals(await client.request(WORK, "abc"), "ABC");
      await client.request(WORK, "fail").catch(() => {});
      client.send(messageType(999, "nobody's", text), "x");
      await client.ping();
      const said = ["message 200 4", "request 201 3", "request 201 4", "message 999 1", "system 0 0"];
      assertEquals(show(onClient.of("sent")), said);
      assertEquals(show(onServer.of("received")), said);
      assertEquals(show(onServer.of("routed")), said.slice(0, 3));
      const heard = show(onClient.of("received"));
      assertEquals(show(onServer.of("sent")), heard);
      assertEquals(heard.map((line) => line.split(" ", 2).join(" ")), ["reply 201", "error 201", "system 1"]);
      for (const event of ["received", "routed", "sent"]) {
        assert(onServer.of(event).every(([, peer]) => peer === info), event);
      }
      const ids = onClient.of("sent").map(([{ requestId }]) => requestId);
      assertEquals([ids[0], ids[3]], [0, 0]);
      assertEquals(onServer.of("received").map(([{ requestId }]) => requestId), ids);
      const settled = onClient.of("settled") as [SettledInfo][];
      assertEquals(settled.map(([{ name, requestId, outcome, ms }]) => [name, requestId, outcome, ms]), [
        ["work", ids[1], "answered", 0],
        ["work", ids[2], "failed", 0],
        ["ping", ids[4], "answered", 0],
      ]);
      assertEquals([onServer.of("settled"), onServer.of("pressure"), onServer.of("limited")], [[], [], []]);
      await client.close();
    });
  });
}

const tapped = ({ observers }: { observers: object }): string[] =>
  Object.entries(observers).filter(([, tap]) => tap !== undefined).map(([name]) => name);

describe("traffic events", () => {
  it("tell how a request ended and how long it took: answered, failed, timeout, cancelled, and by a lost connection", async () => {
    for (const { release } of SPOKEN) {
      const world = memoryWorld();
      await using met = await face(world, release);
      const events = new Recorder(met.client, ["settled"]);
      const stop = new AbortController();
      const all = [
        met.client.request(WORK, "late", { timeout: 1_000 }),
        met.client.request(WORK, "cancelled", { signal: stop.signal }),
        met.client.request(WORK, "lost", { timeout: 60_000 }),
      ].map((asked) => asked.catch(() => {}));
      await world.clock.advance(300);
      stop.abort();
      await world.clock.advance(1_000);
      met.raw.connection.abort();
      await Promise.all(all);
      const settled = events.of("settled").map(([{ outcome, ms }]) => [outcome, ms]);
      assertEquals(settled.map(([outcome]) => outcome), ["cancelled", "timeout", "failed"]);
      assertEquals([settled[0][1], settled[2][1]], [300, 1_300]);
      assert(settled[1][1] >= 1_000 && settled[1][1] <= 1_020);
    }
  });

  it("tell when the buffer fills and when half of it is gone, in turns", async () => {
    const world = memoryWorld({ pipeSize: 1_000 });
    await using met = await face(world, "native", {}, { highWaterMark: 10_000 });
    const events = new Recorder(met.client, ["pressure"]);
    for (let round = 1; round <= 2; round++) {
      for (let i = 0; i < 30; i++) met.client.send(NOTE, "x".repeat(1_000 - 16));
      for (let i = 0; i < 30; i++) await met.raw.frame();
      await until(() => events.of("pressure").length === 2 * round);
    }
    const told = events.of("pressure").map(([{ full, bufferedBytes }]) => [full, bufferedBytes]);
    assertEquals(told.map(([full]) => full), [true, false, true, false]);
    for (const [full, bytes] of told) assert(full ? bytes > 10_000 && bytes <= 11_000 : bytes <= 5_000, `${bytes}`);
  });

  it("tell of damage to nobody: what does not check out was not received", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { protocol: "1.6.3" }, (server) => server.route(NOTE, () => {}));
    const events = new Recorder(served.server, ["received", "routed"]);
    await using raw = await Raw.connect(world, served.address, "1.6.3");
    const frame = raw.encode({ code: 200, content: "damaged" });
    frame[frame.length - 1] ^= 1;
    await raw.connection.write(frame);
    await raw.send({ code: 200, content: "whole" });
    await until(() => events.of("routed").length === 1);
    assertEquals(show(events.of("received")), ["message 200 5"]);
  });

  it("are made for nobody: without a listener there is no tap, and with the last one it goes", () => {
    const options = readOptions("options", { logger: new Lines(), transport: memoryWorld().transport }, COMMON_OPTIONS);
    const core = new EndpointCore<Record<string, unknown[]>>(options, [
      ...TRAFFIC_EVENTS,
      "error",
      "route",
    ]);
    assertEquals(tapped(core), []);
    core.events.on("error", () => {});
    assertEquals(tapped(core), [], "other events have none");
    for (const event of TRAFFIC_EVENTS) {
      const seen: unknown[] = [];
      const [first, second] = [new AbortController(), new AbortController()];
      core.events.on(event, (info) => seen.push(info), { signal: first.signal });
      core.events.on(event, (info) => seen.push(info), { signal: second.signal });
      assertEquals(tapped(core), [event]);
      (core.observers[event] as (info: unknown, peer: unknown) => void)(event, undefined);
      assertEquals(seen, [event, event]);
      first.abort();
      assertEquals(tapped(core), [event]);
      second.abort();
      assertEquals(tapped(core), []);
      core.events.on(event, () => {}, { once: true });
      (core.observers[event] as (info: unknown, peer: unknown) => void)(event, undefined);
      assertEquals(tapped(core), []);
    }
  });

  it("end nothing when a listener throws, and may begin and end while messages flow", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => server.route(WORK, ({ data }) => data));
    for (const event of TRAFFIC_EVENTS) {
      served.server.on(event as "sent", () => {
        throw new Error("a listener");
      });
    }
    await using raw = await Raw.connect(world, served.address, "native");
    for (let i = 1; i <= 3; i++) {
      await raw.send({ code: 201, content: "x", requestId: i, flags: REQUEST });
      assertEquals((await raw.frame())!.requestId, i);
    }
    assertEquals(served.events.of("disconnect"), []);
    assertEquals(served.events.of("error").length, 9, "received, routed and sent, three times");
  });
});
