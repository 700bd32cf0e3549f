/** Recorded frames as text that is the same in every run. */

import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { json, messageType, text } from "../mod.ts";
import {
  AssertionError,
  connect,
  FakePeer,
  FrameRecorder,
  type FrameRecorderOptions,
  memoryWorld,
  serve,
} from "../src/testing/mod.ts";

const CHAT = messageType(200, "chat", text);
const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
const TYPES = { CHAT, ADD };

/** Talks a little, recorded at one side, and returns the recorder. */
async function talk(
  options: FrameRecorderOptions = {},
  more: { readonly protocol?: string; readonly resume?: boolean } = {},
): Promise<FrameRecorder> {
  const world = memoryWorld();
  const recorder = new FrameRecorder(world.transport, { types: TYPES, ...options });
  const { protocol, resume } = more;
  const [server, client] = options.side === "server"
    ? [recorder.transport, world.transport]
    : [world.transport, recorder.transport];
  await using served = await serve({ world, transport: server, protocol: protocol ?? "2.0", resume }, (server) => {
    server.route(ADD, ({ data: { a, b } }) => {
      if (a < 0) throw new RangeError("too small");
      return a + b;
    });
    server.route(CHAT, () => {});
  });
  await using connected = await connect(served, {
    transport: client,
    protocol: protocol ?? "auto",
    resume,
    reconnect: resume,
  });
  const [info] = await served.events.next("connect");
  connected.client.send(CHAT, "hello\n\u{1f44b}");
  await connected.client.request(ADD, { a: 1, b: 2 });
  if (protocol === undefined) await connected.client.request(ADD, { a: -1, b: 2 }).catch(() => {});
  info.send(CHAT, "bye");
  await world.clock.settle();
  return recorder;
}

const SAID = `1 > message 200 chat "hello\\n\u{1f44b}"
1 > request 201 add #1 {"a":1,"b":2}
1 < reply 201 add #1 "3"
1 > request 201 add #2 {"a":-1,"b":2}
1 < error 201 add #2 {"code":"handler-failed","message":"too small"}
1 < message 200 chat "bye"`;

describe("a FrameRecorder", () => {
  it("shows what was said, by names and codes", async () => {
    const recorder = await talk();
    assertEquals(recorder.text({ handshakes: false }).split("\n").slice(0, 6).join("\n"), SAID);
  });

  it("shows the same at the side of the server", async () => {
    const recorder = await talk({ side: "server" });
    const lines = recorder.text({ handshakes: false }).split("\n").slice(0, 6);
    assertEquals(lines.sort(), SAID.split("\n").sort());
  });

  it("shows the handshake without what is never the same", async () => {
    const [first, again] = [await talk({}, { resume: true }), await talk({}, { resume: true })];
    assertEquals(first.text(), again.text());
    const [greeting, answer, decision] = first.text().split("\n");
    assertMatch(greeting, /^1 < handshake \{"v":"<version>",.*"nonce":"<nonce>"/);
    assertMatch(answer, /^1 > handshake \{"v":"<version>"/);
    assertMatch(decision, /^1 < handshake \{"result":"ok".*"resume":\{"id":"<id>","key":"<key>"\}/);
  });

  it("numbers the random ids of Python's protocols", async () => {
    for (const release of ["2.0.0", "1.8.1"]) {
      const world = memoryWorld();
      const recorder = new FrameRecorder(world.transport, { types: TYPES });
      await using served = await serve({ world, protocol: release }, (server) => {
        server.route(CHAT, () => {});
        server.route(ADD, ({ data: { a, b } }) => a + b);
      });
      await using peer = await FakePeer.connect({ ...world, transport: recorder.transport }, served.address, release);
      await peer.send({ code: 200, content: "hello", requestId: 9_123 });
      await peer.send({ code: 201, content: '{"a":1,"b":2}', requestId: 5 });
      await peer.expect({ code: 201 });
      assertEquals(
        recorder.text({ handshakes: false }),
        '1 > message 200 chat #1 "hello"\n1 > message 201 add #2 {"a":1,"b":2}\n1 < message 201 add #2 "3"',
      );
    }
  });

  it("shows protocols that do not say which they are, if it is told", async () => {
    const said = (await talk({ protocol: "1.6.3" }, { protocol: "1.6.3" })).text();
    assertMatch(said, /^1 < HELLO #1 "1.6.3"\n1 > HELLO_ACK #1 "1.6.3"\n1 > message 200 chat #2 /);
  });

  it("shows bytes that it cannot decode, and never disturbs the connection", async () => {
    const world = memoryWorld();
    const recorder = new FrameRecorder(world.transport);
    await using listener = await world.transport.listen({ hostname: "127.0.0.1", port: 0 });
    const client = await recorder.transport.connect(listener.address);
    const { value: server } = await listener[Symbol.asyncIterator]().next();
    await server.write(Uint8Array.of(9, 9, 9, 9));
    assertEquals(await client.read(), Uint8Array.of(9, 9, 9, 9));
    await client.write(new Uint8Array(5));
    await server.closeWrite();
    assertEquals(await client.read(), null);
    assertEquals(await client.read(), null);
    client.abort();
    server.abort();
    assertEquals(recorder.text(), "1 < bytes 4\n1 > bytes 5\n1 < fin");
  });

  it("says which frame is broken", async () => {
    const world = memoryWorld();
    const recorder = new FrameRecorder(world.transport);
    await using served = await serve({ world });
    await using peer = await FakePeer.connect({ ...world, transport: recorder.transport }, served.address);
    const broken = peer.encode({ code: 200, content: "x" });
    broken[16] ^= 1;
    await peer.connection.write(broken);
    assertMatch(recorder.text(), /1 > bytes that cannot be decoded: A frame of type 200 is not sealed/);
  });

  it("finds frames one by one, and says what there is when it finds none", async () => {
    const recorder = await talk();
    assertEquals([recorder.find(200).from, recorder.find(200).from], ["client", "server"]);
    const { message } = assertThrows(() => recorder.find(200), AssertionError);
    assertMatch(message, /^Expected a frame with code 200, but what was sent is\n1 < handshake/);
    assertThrows(() => recorder.find(201, "client") && recorder.find(999, "server"), AssertionError, "of the server");
  });

  it("replaces and leaves out lines, and forgets", async () => {
    const recorder = await talk();
    const replace = (line: string): string | undefined => line.includes("chat") ? line.slice(0, 11) : undefined;
    assertEquals(recorder.text({ replace }), "1 > message\n1 < message");
    assertEquals(recorder.entries.length > 8, true);
    recorder.clear();
    assertEquals([recorder.text(), recorder.entries], ["", []]);
  });
});
