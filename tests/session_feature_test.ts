/**
 * A feature that the library does not know: it adds a flag, a system code and payload hooks over real sockets, in this file
 * alone.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bytes,
  Client,
  type ConnectedClient,
  messageType,
  PayloadError,
  Server,
  streamType,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { EXTRA_FEATURES } from "../src/app/endpoint_core.ts";
import { encodeUtf8 } from "../src/base/utf8.ts";
import { ProtocolError, RemoteError } from "../src/errors.ts";
import type { EncodedPayload } from "../src/session/payload_encoding.ts";
import { type Feature, type FeaturePart, FeatureSet } from "../src/session/feature.ts";
import { sealFrame } from "../src/wire/encoder.ts";
import { HOST, Lines, memoryWorld, Raw, until } from "./session_support.ts";

/** The flag of a payload whose bytes are inverted, and the code of a frame that carries a word and an id. */
const INVERTED = 0x80;
const WHISPER = 120;

const SHOUT = messageType(300, "shout", text, text);
const DATA = messageType(301, "data", bytes);
const NOTE = messageType(302, "note", text);

/** One side's view of the feature. */
interface Seen {
  readonly terms: unknown[];
  readonly whispers: string[];
  readonly flags: number[];
  closed: number;
  whisper: (word: string) => void;
}

/** Inverts the bytes of payloads up to the size that both allow, and whispers words past all messages. */
function inverting(max: number, seen: Seen, accept?: Feature["accept"]): Feature {
  return {
    name: "invert",
    flags: INVERTED,
    offer: () => ({ max }),
    accept: accept ?? ((ours, theirs) => ({ max: Math.min(ours.max as number, theirs.max as number) })),
    check: (flags, code, id) => {
      if (code === WHISPER) return id === 0 ? "a whisper has no id" : true;
      return (flags & INVERTED) !== 0 && code < 200 ? "a system frame is inverted" : undefined;
    },
    attach(ours, theirs, host): FeaturePart {
      const most = Math.min(ours.max as number, theirs.max as number);
      seen.terms.push([ours, theirs]);
      seen.whisper = (word) => host.sender.control("whisper", WHISPER, 7, word);
      const invert = (content: Uint8Array): Uint8Array => content.map((byte) => byte ^ 0xff);
      return {
        encode(_code, flags, content): EncodedPayload | undefined {
          const raw = typeof content === "string" ? encodeUtf8(content) : content;
          seen.flags.push(flags);
          return raw.length > most ? undefined : { flags: INVERTED, content: invert(raw) };
        },
        decode: (frame) => {
          if ((frame.flags & INVERTED) === 0) return undefined;
          if (frame.size > most) throw new ProtocolError("protocol-error", "The inverted payload is too long");
          return invert(frame.content);
        },
        control: (frame) => {
          if (frame.code !== WHISPER) return false;
          seen.whispers.push(new TextDecoder().decode(frame.content));
          return true;
        },
        close: () => void seen.closed++,
      };
    },
  };
}

const fresh = (): Seen => ({ terms: [], whispers: [], flags: [], closed: 0, whisper: () => {} });

describe("a feature of a test", () => {
  it("transforms payloads both ways, answers and broadcasts too, and has a system code, over a real socket", async () => {
    const [here, there] = [fresh(), fresh()];
    const log = new Lines();
    const extra = { [EXTRA_FEATURES]: [inverting(10, there)] };
    await using server = new Server({ hostname: HOST, port: 0, logger: log, ...extra });
    const got: string[] = [];
    server.route(SHOUT, ({ data }) => {
      got.push(data);
      return data.toUpperCase();
    });
    await server.start();
    const [address] = server.addresses as TcpEndpoint[];
    const options = { [EXTRA_FEATURES]: [inverting(100, here)] };
    const heard: string[] = [];
    await using client = new Client({ ...address, logger: log, ...options });
    client.route(DATA, ({ data }) => void heard.push(new TextDecoder().decode(data)));
    await client.connect();
    await using plain = new Client({ ...address, logger: log });
    plain.route(DATA, ({ data }) => void heard.push(`plain ${new TextDecoder().decode(data)}`));
    await plain.connect();

    assertEquals(await client.request(SHOUT, "short"), "SHORT");
    assertEquals(await client.request(SHOUT, "longer than ten bytes"), "LONGER THAN TEN BYTES");
    assertEquals(await plain.request(SHOUT, "plain"), "PLAIN");
    assertEquals(got, ["short", "longer than ten bytes", "plain"]);

    const result = server.broadcast(DATA, encodeUtf8("to all"));
    assertEquals(result, { sent: 2, dropped: 0, closed: 0 });
    await until(() => heard.length === 2);
    assertEquals(heard.sort(), ["plain to all", "to all"]);

    here.whisper("psst");
    await until(() => there.whispers.length === 1);
    there.whisper("yes?");
    await until(() => here.whispers.length === 1);
    assertEquals([there.whispers, here.whispers], [["psst"], ["yes?"]]);

    // The server chose the smaller size; the client heard that.
    assertEquals(there.terms, [[{ max: 10 }, { max: 100 }]]);
    assertEquals(here.terms, [[{ max: 100 }, { max: 10 }]]);
    await client.close();
    await server.close();
    assertEquals([here.closed, there.closed, log.lines], [1, 1, []]);
  });

  it("is not in force where the server declines, or where one side does not offer it", async () => {
    for (const [offers, accept] of [[true, () => undefined], [false, undefined]] as const) {
      const [here, there] = [fresh(), fresh()];
      const features = offers ? [inverting(10, there, accept)] : [];
      await using server = new Server(
        { hostname: HOST, port: 0, logger: new Lines(), [EXTRA_FEATURES]: features } as never,
      );
      server.route(SHOUT, ({ data }) => data);
      await server.start();
      const address = server.addresses[0] as TcpEndpoint;
      await using client = new Client(
        { ...address, logger: new Lines(), [EXTRA_FEATURES]: [inverting(10, here)] } as never,
      );
      await client.connect();
      assertEquals(await client.request(SHOUT, "as it is"), "as it is");
      assertEquals([here.terms, there.terms, here.flags], [[], [], []]);
    }
  });

  it("has its flags and codes checked at the header, and its own errors end the connection", async () => {
    const world = memoryWorld();
    const frames: [what: string, flags: number, code: number, id: number, size: number][] = [
      ["a whisper has no id", 0, WHISPER, 0, 0],
      ["a system frame is inverted", INVERTED, 5, 0, 4],
      ["the flag 0x10 is not in use", 0x10, 300, 0, 0],
      ["an id is set without REQUEST or REPLY", INVERTED, 301, 9, 1],
      ["The inverted payload is too long", INVERTED, 301, 0, 11],
    ];
    for (const [what, flags, code, id, size] of frames) {
      const there = fresh();
      const features = [inverting(10, there)];
      await using server = new Server(
        {
          hostname: HOST,
          port: 0,
          transport: world.transport,
          logger: new Lines(),
          [EXTRA_FEATURES]: features,
        } as never,
      );
      const errors: string[] = [];
      server.on("error", (error) => void errors.push((error as Error).message));
      const gone: string[] = [];
      server.on("disconnect", (_: ConnectedClient, { reason }) => void gone.push(reason));
      await server.start();
      await using raw = await Raw.connect(world, server.addresses[0] as TcpEndpoint, "native", {
        features: { invert: { max: 10 } },
      });
      const frame = new Uint8Array(16 + size);
      sealFrame(raw.protocol, new DataView(frame.buffer), 0, code, flags, id, size, 0);
      await raw.connection.write(frame);
      await raw.connection.closeWrite();
      await until(() => gone.length === 1);
      assert(errors.length === 1 && errors[0].includes(what), `${what}: ${errors}`);
      assertEquals([gone, there.closed], [["protocol-error"], 1]);
    }
  });

  it("takes replies before the requests do, and sees each message once", async () => {
    const seen: unknown[] = [];
    const taking: Feature = {
      name: "taking",
      offer: () => ({}),
      attach: () => ({
        reply: ({ requestId }) => {
          seen.push(["reply", requestId]);
          return false;
        },
        message: (size) => void seen.push(["message", size]),
        handled: (size) => void seen.push(["handled", size]),
      }),
    };
    const extra = { [EXTRA_FEATURES]: [taking] };
    await using server = new Server(
      { hostname: HOST, port: 0, logger: new Lines(), [EXTRA_FEATURES]: [{ ...taking, attach: undefined }] } as never,
    );
    server.route(SHOUT, ({ data }) => data);
    await server.start();
    await using client = new Client({ ...server.addresses[0] as TcpEndpoint, logger: new Lines(), ...extra } as never);
    client.route(DATA, () => {});
    await client.connect();
    assertEquals(await client.request(SHOUT, "x"), "x");
    server.broadcast(DATA, new Uint8Array(4));
    await until(() => seen.length === 3);
    assertEquals(seen, [["reply", 1], ["message", 20], ["handled", 20]]);
  });
});

/** Halves or doubles payloads on the wire: each byte stands for two equal ones, or the other way round. */
function resizing(kind: "smaller" | "larger"): Feature {
  const half = (content: Uint8Array): Uint8Array => content.filter((_, i) => i % 2 === 0);
  const twice = (content: Uint8Array): Uint8Array =>
    Uint8Array.from({ length: 2 * content.length }, (_, i) => content[i >> 1]);
  const [encode, decode] = kind === "smaller" ? [half, twice] : [twice, half];
  return {
    name: "resizing",
    flags: INVERTED,
    offer: () => ({}),
    attach: () => ({
      encode: (_code, _flags, content) => ({ flags: INVERTED, content: encode(content as Uint8Array) }),
      decode: ({ content, flags }) => flags === 0 ? undefined : decode(content),
    }),
  };
}

describe("a feature that changes the size of payloads", () => {
  for (const kind of ["smaller", "larger"] as const) {
    for (const handler of ["at once", "later"] as const) {
      it(`leaves flow control whole: ${kind} on the wire, handled ${handler}`, async () => {
        const world = memoryWorld();
        const seen: number[] = [];
        const config = { maxQueuedBytes: 4_000, maxQueuedMessages: 100, maxConcurrentHandlers: 1, logger: new Lines() };
        await using server = new Server({
          hostname: HOST,
          port: 0,
          transport: world.transport,
          ...config,
          [EXTRA_FEATURES]: [resizing(kind)],
        } as never);
        server.route(DATA, ({ data }) => {
          seen.push(data.length);
          return handler === "later" ? Promise.resolve() : undefined;
        });
        await server.start();
        const features = { resizing: {}, credit: { window: 1_000_000 } };
        await using raw = await Raw.connect(world, server.addresses[0] as TcpEndpoint, "native", { features });
        // Each costs 16 bytes and 24: half of the window is 50 of them.
        const frame = new Uint8Array(40);
        sealFrame(raw.protocol, new DataView(frame.buffer), 0, 301, INVERTED, 0, 24, 0);
        for (let i = 0; i < 75; i++) await raw.connection.write(frame);
        await until(() => seen.length === 75);
        assertEquals(new Set(seen), new Set([kind === "smaller" ? 48 : 12]));
        const granted = (await raw.frame())!;
        assertEquals([granted.code, new DataView(granted.content.slice().buffer).getUint32(0)], [5, 50 * 40]);
      });
    }
  }
});

describe("a feature that fails", () => {
  /** Throws at payloads that begin with `bad`, at each control frame, and at the end. */
  const failing = (): Feature => ({
    name: "failing",
    codes: [WHISPER],
    flags: INVERTED,
    offer: () => ({}),
    check: (_flags, code) => code === WHISPER ? true : undefined,
    attach: () => ({
      encode: (_code, _flags, content) => {
        if (content === "unsendable") throw new RangeError("encode failed");
        return { flags: INVERTED, content: typeof content === "string" ? encodeUtf8(content) : content };
      },
      decode: ({ content }) => {
        if (new TextDecoder().decode(content).startsWith("bad")) throw new RangeError("decode failed");
        return undefined;
      },
      control: () => {
        throw new RangeError("control failed");
      },
      leave: () => {
        throw new RangeError("leave failed");
      },
      close: () => {
        throw new RangeError("close failed");
      },
    }),
  });

  it("costs nothing but its own work where it only looks at messages, whether it stands alone or beside others", async () => {
    for (const credit of [true, false]) {
      const world = memoryWorld();
      const looking: Feature = {
        name: "looking",
        offer: () => ({}),
        attach: () => ({
          message: () => {
            throw new RangeError("message failed");
          },
          handled: () => {
            throw new RangeError("handled failed");
          },
        }),
      };
      const extra = { [EXTRA_FEATURES]: [looking] };
      await using server = new Server(
        { hostname: HOST, port: 0, transport: world.transport, logger: new Lines(), ...extra } as never,
      );
      const errors: string[] = [];
      server.on("error", (error) => void errors.push((error as Error).message));
      const got: string[] = [];
      server.route(NOTE, ({ data }) => void got.push(data));
      await server.start();
      const features = credit ? { looking: {}, credit: {} } : { looking: {} };
      await using raw = await Raw.connect(world, server.addresses[0] as TcpEndpoint, "native", { features });
      for (const word of ["one", "two"]) await raw.send({ code: NOTE.code, content: encodeUtf8(word) });
      await until(() => got.length === 2);
      assertEquals(got, ["one", "two"]);
      assertEquals(errors, ["message failed", "handled failed", "message failed", "handled failed"]);
    }
  });

  it("keeps no other feature from its own work, whichever hook throws", async () => {
    const world = memoryWorld();
    const seen: string[] = [];
    /** A feature whose hooks note that they were called, and then may throw. */
    const looking = (name: string, throws: boolean): Feature => {
      const hook = (what: string) => (): void => {
        seen.push(`${name} ${what}`);
        if (throws) throw new RangeError(`${what} failed`);
      };
      return {
        name,
        offer: () => ({}),
        attach: () => ({
          message: hook("message"),
          handled: hook("handled"),
          finished: hook("finished"),
          close: hook("close"),
        }),
      };
    };
    await using server = new Server(
      {
        hostname: HOST,
        port: 0,
        transport: world.transport,
        logger: new Lines(),
        [EXTRA_FEATURES]: [looking("first", true), looking("second", false)],
      } as never,
    );
    const errors: string[] = [];
    server.on("error", (error) => void errors.push((error as Error).message));
    const left = new Promise<string>((resolve) => server.on("disconnect", (_, { reason }) => resolve(reason)));
    const got: string[] = [];
    server.route(NOTE, ({ data }) => void got.push(data));
    await server.start();
    const features = { first: {}, second: {} };
    await using raw = await Raw.connect(world, server.addresses[0] as TcpEndpoint, "native", { features });
    await raw.send({ code: NOTE.code, content: "one" });
    await raw.connection.closeWrite();
    assertEquals(await raw.end(), "fin");
    assertEquals([await left, got], ["peer-closed", ["one"]]);
    const hooks = ["message", "handled", "finished", "close"];
    assertEquals(seen, hooks.flatMap((hook) => [`first ${hook}`, `second ${hook}`]));
    assertEquals(errors, hooks.map((hook) => `${hook} failed`));
  });

  it("costs its own message, answer or frame, and nothing else", async () => {
    const errors: string[] = [];
    const got: string[] = [];
    const failures = (side: string) => (error: unknown): void =>
      void errors.push(`${side}: ${(error as Error).message}`);
    await using server = new Server(
      { hostname: HOST, port: 0, logger: new Lines(), [EXTRA_FEATURES]: [failing()] } as never,
    );
    server.on("error", failures("server"));
    server.route(SHOUT, ({ data }) => {
      got.push(data);
      return data === "answer badly" ? "bad answer" : data;
    });
    let whisper = (): void => {};
    await server.start();
    const address = server.addresses[0] as TcpEndpoint;
    const here = failing();
    const { attach } = here;
    const spying: Feature = {
      ...here,
      attach(ours, theirs, host, clock, greeted): FeaturePart {
        whisper = () => host.sender.control("whisper", WHISPER, 1, "");
        return attach!(ours, theirs, host, clock, greeted)!;
      },
    };
    await using client = new Client({ ...address, logger: new Lines(), [EXTRA_FEATURES]: [spying] } as never);
    client.on("error", failures("client"));
    await client.connect();

    client.send(SHOUT, "bad message");
    const refused = await assertRejects(() => client.request(SHOUT, "bad request"), RemoteError);
    assertEquals([refused.code, refused.message], ["handler-failed", "The payload cannot be read"]);
    await assertRejects(() => client.request(SHOUT, "answer badly"), RangeError, "decode failed");
    assertThrows(() => client.send(SHOUT, "unsendable"), RangeError, "encode failed");
    await assertRejects(() => client.request(SHOUT, "unsendable"), RangeError, "encode failed");
    whisper();
    assertEquals(await client.request(SHOUT, "good"), "good");
    assertEquals(got, ["answer badly", "good"]);
    assertEquals(errors, [
      "server: decode failed",
      "server: decode failed",
      "client: decode failed",
      "server: control failed",
    ]);
    errors.length = 0;
    await client.close();
    await server.close();
    assertEquals(errors.sort(), ["client: close failed", "client: leave failed", "server: close failed"]);
  });

  it("costs its own stream where an opening or a piece cannot be decoded, and the opener hears of it", async () => {
    const failing = (): Feature => ({
      name: "failing",
      flags: INVERTED,
      offer: () => ({}),
      attach: (): FeaturePart => ({
        encode: (_code, _flags, content) => ({
          flags: INVERTED,
          content: typeof content === "string" ? encodeUtf8(content) : content,
        }),
        decode({ content, flags }): Uint8Array | undefined {
          if ((flags & INVERTED) === 0) return undefined;
          if (new TextDecoder().decode(content) === "bad") throw new RangeError("decode failed");
          return content;
        },
      }),
    });
    const extra = (): object => ({ [EXTRA_FEATURES]: [failing()], transport: world.transport, logger: new Lines() });
    const world = memoryWorld();
    const errors: string[] = [];
    const failures = (side: string) => (error: unknown): void =>
      void errors.push(`${side}: ${(error as Error).message}`);
    const type = streamType(310, "talk", { head: text, result: text });
    await using server = new Server({ hostname: HOST, port: 0, ...extra() });
    server.on("error", failures("server"));
    server.stream(type, async ({ head, readable, writable }) => {
      if (head === "speak badly") await writable.getWriter().write(encodeUtf8("bad"));
      let heard = head;
      for await (const piece of readable) heard += new TextDecoder().decode(piece);
      return heard;
    });
    await server.start();
    await using client = new Client({ ...server.addresses[0] as TcpEndpoint, ...extra() });
    client.on("error", failures("client"));
    await client.connect();

    const unopened = await assertRejects(() => client.open(type, "bad").result, RemoteError);
    assertEquals([unopened.code, unopened.message], ["handler-failed", "The payload cannot be read"]);
    const sent = client.open(type, "a");
    const writer = sent.writable.getWriter();
    await writer.write(encodeUtf8("bad"));
    const cut = await assertRejects(() => sent.result, RemoteError, "A piece of the stream cannot be decoded");
    assertEquals(cut.code, "invalid-payload");
    const received = client.open(type, "speak badly");
    await assertRejects(() => received.result, PayloadError, "A piece of the stream cannot be decoded");
    const good = client.open(type, "a");
    await ReadableStream.from([encodeUtf8("b"), encodeUtf8("c")]).pipeTo(good.writable);
    assertEquals(await good.result, "abc");
    assertEquals(errors, ["server: decode failed", "server: decode failed", "client: decode failed"]);
    assertEquals([client.state, client.stats().openStreams], ["connected", 0]);
  });

  it("keeps a broadcast from no other client", async () => {
    const throwing: Feature = {
      ...failing(),
      attach: () => ({
        encode: () => {
          throw new RangeError("encode failed");
        },
      }),
    };
    const extra = { [EXTRA_FEATURES]: [throwing] };
    await using server = new Server({ hostname: HOST, port: 0, logger: new Lines(), ...extra } as never);
    const errors: string[] = [];
    server.on("error", (error) => void errors.push((error as Error).message));
    await server.start();
    const address = server.addresses[0] as TcpEndpoint;
    const heard: string[] = [];
    const meet = async (name: string, config: object): Promise<Client> => {
      const client = new Client({ ...address, logger: new Lines(), ...config } as never);
      client.route(DATA, ({ data }) => void heard.push(`${name} ${data.length}`));
      await client.connect();
      return client;
    };
    await using _with = await meet("with", { [EXTRA_FEATURES]: [{ ...failing(), attach: undefined }] });
    await using _without = await meet("without", {});
    assertEquals(server.broadcast(DATA, new Uint8Array(3)), { sent: 1, dropped: 1, closed: 0 });
    await until(() => heard.length === 1);
    assertEquals([heard, errors], [["without 3"], ["encode failed"]]);
  });
});

describe("several features", () => {
  it("decode in the reverse of the order in which they encode", async () => {
    const wrapping = (name: string, flag: number): Feature => ({
      name,
      flags: flag,
      offer: () => ({}),
      attach: () => ({
        encode: (_code, _flags, content) => ({
          flags: flag,
          content: encodeUtf8(`${name}(${new TextDecoder().decode(content as Uint8Array)})`),
        }),
        decode: ({ content, flags }) => {
          const inside = new TextDecoder().decode(content);
          if (flag !== 0 && (flags & flag) === 0) return undefined;
          if (!inside.startsWith(`${name}(`)) {
            throw new ProtocolError("protocol-error", `${name} was not the last: ${inside}`);
          }
          return encodeUtf8(inside.slice(name.length + 1, -1));
        },
      }),
    });
    const features = { [EXTRA_FEATURES]: [wrapping("a", 0), wrapping("b", 0x80)] };
    await using server = new Server({ hostname: HOST, port: 0, logger: new Lines(), ...features } as never);
    server.route(DATA, () => {});
    server.route(messageType(303, "echo", bytes, bytes), ({ data }) => data);
    await server.start();
    await using client = new Client(
      { ...server.addresses[0] as TcpEndpoint, logger: new Lines(), ...features } as never,
    );
    await client.connect();
    const answer = await client.request(messageType(303, "echo", bytes, bytes), encodeUtf8("x"));
    assertEquals(new TextDecoder().decode(answer), "x");
  });

  it("sends more than fits from sources, beside messages, and one that throws costs itself alone", async () => {
    const FEED = 121;
    const COUNT = 100;
    const told: string[] = [];
    let most = 0;
    let feed = (_fails: boolean): void => {};
    const feeding: Feature = {
      name: "feed",
      codes: [FEED],
      offer: () => ({}),
      check: (_flags, code) => code === FEED ? true : undefined,
      attach: (_ours, _theirs, host) => {
        feed = (fails) => {
          let left = COUNT;
          host.pull({
            pull(): boolean {
              if (fails) throw new Error("no feed");
              host.sender.control("feed", FEED, left, new Uint8Array(32 * 1024), true);
              most = Math.max(most, host.sender.writer.buffered);
              return --left > 0;
            },
          });
        };
        return {
          control: (frame) => {
            if (frame.code !== FEED) return false;
            told.push(`${frame.requestId}`);
            return true;
          },
        };
      },
    };
    const extra = { [EXTRA_FEATURES]: [feeding] };
    await using server = new Server({ hostname: HOST, port: 0, logger: new Lines(), ...extra } as never);
    server.route(SHOUT, ({ data }) => {
      told.push(data);
      return data;
    });
    await server.start();
    const address = server.addresses[0] as TcpEndpoint;
    await using client = new Client({ ...address, logger: new Lines(), ...extra } as never);
    const errors: string[] = [];
    client.on("error", (error) => void errors.push((error as Error).message));
    await client.connect();
    feed(true);
    feed(false);
    assertEquals(await client.request(SHOUT, "between"), "between");
    await until(() => told.length === COUNT + 1);
    assertEquals(errors, ["no feed"]);
    const message = told.indexOf("between");
    assert(message <= 256 / 32 + 1, `the message waited for ${message} pieces`);
    assertEquals(told.toSpliced(message, 1), Array.from({ length: COUNT }, (_, i) => `${COUNT - i}`));
    assert(most <= 300 * 1024, `${most} bytes waited`);
  });

  it("ends in good order although a source would go on for ever", async () => {
    const FEED = 121;
    let feed = (): void => {};
    const endless: Feature = {
      name: "feed",
      codes: [FEED],
      offer: () => ({}),
      check: (_flags, code) => code === FEED ? true : undefined,
      attach: (_ours, _theirs, host) => {
        feed = () =>
          host.pull({
            pull(): boolean {
              host.sender.control("feed", FEED, 1, new Uint8Array(32 * 1024), true);
              return true;
            },
          });
        return { control: ({ code }) => code === FEED };
      },
    };
    const extra = { [EXTRA_FEATURES]: [endless] };
    const world = memoryWorld();
    const { transport } = world;
    await using server = new Server({ hostname: HOST, port: 0, transport, logger: new Lines(), ...extra } as never);
    const reasons: string[] = [];
    server.on("disconnect", (_: ConnectedClient, { reason }) => void reasons.push(reason));
    const got: string[] = [];
    server.route(NOTE, ({ data }) => void got.push(data));
    await server.start();
    const address = server.addresses[0] as TcpEndpoint;
    const client = new Client({ ...address, transport, logger: new Lines(), ...extra } as never);
    await client.connect();
    feed();
    client.send(NOTE, "the last word");
    // No time passes: nothing is cut.
    await client.close({ drain: 60_000 });
    await until(() => reasons.length === 1);
    assertEquals([got, reasons], [["the last word"], ["going-away"]]);
  });
});

describe("FeatureSet", () => {
  const limits = { maxMessageSize: 1, maxQueuedBytes: 1, maxQueuedMessages: 1, maxStreams: 1, streamWindow: 1 };
  const terms = { limits, contract: undefined };
  const feature = (name: string, flags: number): Feature => ({ name, flags, offer: () => ({}) });

  it("refuses a name, a flag or a code that is not free", () => {
    const first = { ...feature("a", 0x08), codes: [120] };
    const taken: [Feature, string][] = [
      [feature("a", 0), "its name is not free"],
      [feature("b", 0x18), "its flags are not free"],
      [feature("b", 0x01), "its flags are not free"],
      [{ ...feature("b", 0), codes: [121, 120] }, "its code 120 is not free"],
      [{ ...feature("b", 0), codes: [3] }, "its code 3 is not free"],
      [{ ...feature("b", 0), codes: [200] }, "its code 200 is not free"],
    ];
    for (const [second, text] of taken) {
      assertThrows(
        () => new FeatureSet([first, second], terms),
        TypeError,
        `Cannot offer the feature "${second.name}": ${text}`,
      );
    }
    new FeatureSet([first, { ...feature("constructor", 0x10), codes: [121] }], terms);
  });

  it("asks the checks of all features in force, the first verdict counts", () => {
    const checks = [undefined, "wrong", true] as const;
    const set = new FeatureSet(
      checks.map((verdict, i) => ({
        ...feature(`${i}`, 0),
        check: (flags: number) => flags === i ? verdict : undefined,
      })),
      terms,
    );
    const agreed = (...names: string[]) => set.agreed({ features: new Map(names.map((name) => [name, {}])) } as never);
    assertEquals([0, 1, 2].map((flags) => agreed("0", "1", "2").check?.(flags, 0, 0)), [undefined, "wrong", true]);
    assertEquals([0, 1, 2].map((flags) => agreed("0", "2").check?.(flags, 0, 0)), [undefined, undefined, true]);
    assertEquals(agreed("1").check?.(1, 0, 0), "wrong");
    assertEquals(agreed().check, undefined);
  });
});
