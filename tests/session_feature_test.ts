/**
 * A feature that the library does not know: it adds a flag, a system code and payload hooks over real sockets, in this file
 * alone.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, type ConnectedClient, messageType, Server, type TcpEndpoint, text } from "../mod.ts";
import { EXTRA_FEATURES } from "../src/app/endpoint_core.ts";
import { encodeUtf8 } from "../src/base/utf8.ts";
import { ProtocolError } from "../src/errors.ts";
import type { EncodedPayload } from "../src/session/sender.ts";
import { type Feature, type FeaturePart, FeatureSet } from "../src/session/feature.ts";
import { sealFrame } from "../src/wire/encoder.ts";
import { HOST, Lines, memoryWorld, Raw, until } from "./session_support.ts";

/** The flag of a payload whose bytes are inverted, and the code of a frame that carries a word and an id. */
const INVERTED = 0x08;
const WHISPER = 120;

const SHOUT = messageType(300, "shout", text, text);
const DATA = messageType(301, "data", bytes);

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

describe("FeatureSet", () => {
  const terms = { limits: { maxMessageSize: 1, maxQueuedBytes: 1, maxQueuedMessages: 1 }, contract: undefined };
  const feature = (name: string, flags: number): Feature => ({ name, flags, offer: () => ({}) });

  it("refuses two features with one name or one flag", () => {
    for (const second of [feature("a", 0), feature("b", 0x18)]) {
      assertThrows(() => new FeatureSet([feature("a", 0x08), second], terms), TypeError, `"${second.name}"`);
    }
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
