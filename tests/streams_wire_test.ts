/** The frames of streams by hand: every place of the tables in the protocol page, and what no honest peer sends. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, json, messageType, streamType, text } from "../mod.ts";
import type { IncomingStream } from "../src/app/streams/incoming_stream.ts";
import { Sending, type SendingShared } from "../src/session/features/streams/sending.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { type RawFrame, soon, until } from "./session_support.ts";
import { collect, settled } from "./streams_support.ts";
import {
  END,
  ERROR,
  faceClient,
  type FacedServer,
  faceServer,
  grantOf,
  OPEN,
  PIECE,
  REPLY,
  sync,
  TERMS,
  told,
  verdict,
} from "./streams_raw.ts";

const BOTH = streamType(300, "both");
const RESULT = streamType(301, "result", { result: json<number>() });
const NOTE = messageType(310, "note", text, text);
const WINDOW = 65_536;

type Both = IncomingStream<void, Uint8Array, Uint8Array>;

/** A server with a handler of `BOTH` that goes on until it is told to return. */
async function held(config: Parameters<typeof faceServer>[0] = {}): Promise<
  FacedServer & { readonly opened: Both[]; readonly finish: () => void; readonly errors: unknown[] }
> {
  const opened: Both[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const errors: unknown[] = [];
  const faced = await faceServer(config, (server) => {
    server.on("error", (error) => void errors.push(error));
    server.route(NOTE, ({ data }) => data);
    server.stream(BOTH, (stream) => {
      opened.push(stream);
      return promise;
    });
  });
  return Object.assign(faced, { opened, finish: resolve, errors });
}

const piece = (requestId: number, content: Uint8Array | string = "abc", flags: number = PIECE): RawFrame => ({
  code: 300,
  flags,
  requestId,
  content,
});
const opening = (requestId: number, flags = 0): RawFrame => ({ code: 300, flags: OPEN | flags, requestId });
const stop = (requestId: number, flags = 0): RawFrame => ({ code: SystemCode.STOP, requestId, flags });
const cancel = (requestId: number): RawFrame => ({ code: SystemCode.CANCEL, requestId });

describe("a frame of a stream that an acceptor receives", () => {
  const cases: readonly [what: string, frames: readonly RawFrame[], verdict: string][] = [
    ["a piece", [opening(1), piece(1)], "open"],
    ["a piece of 65,536 bytes", [opening(1), piece(1, new Uint8Array(65_536))], "open"],
    ["a piece of 65,537 bytes", [opening(1), piece(1, new Uint8Array(65_537))], "protocol-error"],
    ["an empty piece", [opening(1), piece(1, "")], "protocol-error"],
    ["an empty last piece", [opening(1), piece(1, "", PIECE | END)], "open"],
    ["a last piece with bytes", [opening(1), piece(1, "abc", PIECE | END)], "open"],
    ["as many small pieces as the window has room for", [
      opening(1),
      ...Array.from({ length: 256 }, () => piece(1)),
      piece(1, "", PIECE | END),
    ], "open"],
    ["one small piece more", [opening(1), ...Array.from({ length: 257 }, () => piece(1))], "protocol-error"],
    ["a piece beyond the window by one byte", [
      opening(1),
      piece(1, new Uint8Array(WINDOW - 300)),
      piece(1, new Uint8Array(301)),
    ], "protocol-error"],
    ["a last piece beyond the window", [
      opening(1),
      piece(1, new Uint8Array(WINDOW)),
      piece(1, "a", PIECE | END),
    ], "protocol-error"],
    ["a piece after END", [opening(1), piece(1, "", PIECE | END), piece(1)], "protocol-error"],
    ["END after END", [opening(1), piece(1, "", PIECE | END), piece(1, "", PIECE | END)], "protocol-error"],
    ["a piece after an opening with END", [opening(1, END), piece(1)], "protocol-error"],
    ["STOP", [opening(1), stop(1)], "open"],
    ["STOP twice", [opening(1), stop(1), stop(1)], "open"],
    ["WINDOW", [opening(1), grantOf(1, 1)], "open"],
    ["WINDOW after STOP", [opening(1), stop(1), grantOf(1, 1)], "open"],
    ["WINDOW up to the most", [opening(1), grantOf(1, 0x7fffffff - WINDOW)], "open"],
    ["WINDOW above the most", [opening(1), grantOf(1, 0x7fffffff - WINDOW + 1)], "protocol-error"],
    ["WINDOW of 2³² − 1", [opening(1), grantOf(1, 0xffffffff)], "protocol-error"],
    ["WINDOW of 0", [opening(1), grantOf(1, 0)], "open"],
    ["WINDOW without content", [opening(1), { code: SystemCode.WINDOW, requestId: 1 }], "open"],
    ["WINDOW for an id that is not open", [grantOf(9, 5)], "open"],
    ["STOP for an id that is not open", [stop(9)], "open"],
    ["a piece for an id that is not open", [piece(9)], "open"],
    ["an empty piece for an id that is not open", [piece(9, "")], "protocol-error"],
    ["WINDOW with the id 0", [grantOf(0, 5)], "protocol-error"],
    ["STOP with the id 0", [stop(0)], "protocol-error"],
    ["an opening with the id 0", [opening(0)], "protocol-error"],
    ["a piece with the id 0", [piece(0)], "protocol-error"],
    ["an opening with the id of an open stream", [opening(1), opening(1)], "protocol-error"],
    ["a request with the id of an open stream", [
      opening(1),
      { code: 310, flags: 1, requestId: 1 },
    ], "protocol-error"],
    ["a piece with another code", [opening(1), { ...piece(1), code: 301 }], "protocol-error"],
    ["an END with another code", [opening(1), { ...piece(1, "", PIECE | END), code: 301 }], "protocol-error"],
    ["a piece with another code for an id that is over", [opening(1), cancel(1), { ...piece(1), code: 301 }], "open"],
    ["END without STREAM", [{ code: 300, flags: END, requestId: 1 }], "protocol-error"],
    ["END without STREAM on an answer", [{ code: 300, flags: REPLY | END, requestId: 1 }], "protocol-error"],
    ["STREAM and ERROR", [opening(1), piece(1, "", PIECE | REPLY | ERROR)], "protocol-error"],
    ["STREAM, REQUEST and REPLY", [piece(1, "", OPEN | REPLY)], "protocol-error"],
    ["STREAM, REQUEST and ERROR", [piece(1, "", OPEN | ERROR)], "protocol-error"],
    ["STREAM on a system code", [{ code: SystemCode.PING, flags: OPEN, requestId: 1 }], "protocol-error"],
    ["END on a system code", [{ code: SystemCode.STOP, flags: END, requestId: 1 }], "protocol-error"],
    ["WINDOW with REQUEST", [opening(1), grantOf(1, 1, 1)], "protocol-error"],
    ["STOP with ERROR", [opening(1), stop(1, REPLY | ERROR)], "protocol-error"],
    ["CANCEL", [opening(1), cancel(1)], "open"],
    ["CANCEL with a reason", [opening(1), { ...cancel(1), content: '{"code":"c","message":"m"}' }], "open"],
    ["CANCEL with a reason that cannot be read", [opening(1), { ...cancel(1), content: "{" }], "open"],
    ["CANCEL twice", [opening(1), cancel(1), cancel(1)], "open"],
    ["STOP with a reason that cannot be read", [opening(1), { ...stop(1), content: "[1" }], "open"],
    ["pieces after CANCEL", [opening(1), cancel(1), piece(1), piece(1, "", PIECE | END)], "open"],
    ["a piece of an answer for a stream of the other side", [piece(1, "a", PIECE | REPLY)], "open"],
  ];
  for (const [what, frames, expected] of cases) {
    it(`${what}: ${expected}`, async () => {
      await using faced = await held();
      await faced.raw.send(...frames);
      assertEquals(await verdict(faced), expected);
      if (expected === "open") assertEquals(faced.errors, []);
      faced.finish();
    });
  }

  it("an opening with the id of an open request, and the reverse: protocol-error", async () => {
    const open = { code: 311, flags: 1, requestId: 5 };
    for (const frames of [[open, opening(5)], [opening(5), open]]) {
      await using faced = await held();
      faced.server.route(messageType(311, "slow", bytes, bytes), () => new Promise<never>(() => {}));
      await faced.raw.send(...frames);
      assertEquals(await verdict(faced), "protocol-error");
      faced.finish();
    }
  });
});

describe("an acceptor by the wire", () => {
  it("throws away what comes after its STOP, up to the window, and takes END", async () => {
    await using faced = await held();
    await faced.raw.send(opening(1));
    await until(() => faced.opened.length === 1);
    await faced.opened[0].readable.cancel("no more");
    assertEquals(await sync(faced.raw), ['STOP 2 1 {"code":"aborted","message":"no more"}']);
    await faced.raw.send(piece(1, new Uint8Array(60_000)), piece(1, "abc", PIECE | END));
    assertEquals(await verdict(faced), "open");
    await faced.raw.send(opening(2));
    await until(() => faced.opened.length === 2);
    await faced.opened[1].readable.cancel();
    await faced.raw.send(piece(2, new Uint8Array(65_536)), piece(2, "a"));
    assertEquals(await verdict(faced), "protocol-error");
    faced.finish();
  });

  it("grants by half windows, as it is read", async () => {
    await using faced = await held();
    await faced.raw.send(opening(1), piece(1, new Uint8Array(32_767)), piece(1, "a"));
    await until(() => faced.opened.length === 1);
    const reader = faced.opened[0].readable.getReader();
    assertEquals((await reader.read()).value?.length, 32_767);
    assertEquals((await sync(faced.raw)).filter((frame) => frame.startsWith("WINDOW")), []);
    await reader.read();
    assertEquals((await sync(faced.raw)).filter((frame) => frame.startsWith("WINDOW")), [`WINDOW 2 1 ${32_767 + 256}`]);
    faced.finish();
  });

  it("is served pieces of what it granted, at most 65,536 bytes each", async () => {
    await using faced = await held();
    await faced.raw.send(opening(1));
    await until(() => faced.opened.length === 1);
    const writing = faced.opened[0].writable.getWriter().write(new Uint8Array(200_000));
    assertEquals(await sync(faced.raw), ["300 42 1 65536 bytes"]);
    await faced.raw.send(grantOf(1, 255));
    assertEquals(await sync(faced.raw), [], "less than a piece costs");
    await faced.raw.send(grantOf(1, 1));
    assertEquals(await sync(faced.raw), ["300 42 1 256 bytes"]);
    await faced.raw.send(grantOf(1, 1_000_000));
    assertEquals(await sync(faced.raw), ["300 42 1 65536 bytes", "300 42 1 65536 bytes", "300 42 1 3136 bytes"]);
    await writing;
    faced.finish();
    assertEquals(await sync(faced.raw), ["300 2 1"]);
  });

  it("sends END with the last piece or after it, then the answer, and nothing for what comes later", async () => {
    await using faced = await held();
    await faced.raw.send(opening(1));
    await until(() => faced.opened.length === 1);
    const writer = faced.opened[0].writable.getWriter();
    await writer.write(new Uint8Array([97]));
    await writer.close();
    assertEquals(await sync(faced.raw), ["300 42 1 a", "300 4a 1"]);
    faced.finish();
    assertEquals(await sync(faced.raw), ["300 2 1"]);
    await faced.raw.send(piece(1), piece(1, "", PIECE | END), grantOf(1, 5), stop(1), cancel(1));
    assertEquals(await sync(faced.raw), []);
    assertEquals(await verdict(faced), "open");
  });

  it("does not close an honest peer whose frames were under way, however many streams end early", async () => {
    await using faced = await faceServer({ streamWindow: 2_048 }, (server) => server.stream(BOTH, () => {}));
    const small = Array.from({ length: 8 }, () => piece(0));
    for (let id = 1; id <= 3_000; id++) {
      const frames = [
        opening(id),
        grantOf(id, 5_000),
        ...small,
        piece(id, "", PIECE | END),
        stop(id),
        cancel(id),
      ];
      await faced.raw.send(...frames.map((frame) => ({ ...frame, requestId: id })));
      if (id % 100 === 0) await sync(faced.raw);
    }
    assertEquals(await verdict(faced), "open");
  });

  it("does not count frames that were under way against the rate limit", async () => {
    const rateLimit = { messages: 20, bytes: 2 ** 30, burst: 1, action: "close" } as const;
    await using faced = await faceServer({ rateLimit }, (server) => server.stream(BOTH, () => {}));
    await faced.raw.send(
      opening(1),
      ...Array.from({ length: 200 }, () => piece(1)),
      piece(1, "", PIECE | END),
      stop(1),
    );
    assertEquals(await verdict(faced), "open");
  });

  it("ends a peer that sends pieces for what was never open", async () => {
    await using faced = await held();
    for (let i = 0; i < 30; i++) await faced.raw.send(...Array.from({ length: 100 }, (_, k) => piece(100 + k)));
    assertEquals(await verdict(faced), "protocol-error");
    faced.finish();
  });

  it("refuses openings above `max`, and ignores the pieces behind them", async () => {
    await using faced = await held({ maxStreams: 2 });
    await faced.raw.send(opening(1), opening(2), opening(3), piece(3), piece(3, "", PIECE | END));
    const [refusal] = await sync(faced.raw);
    assert(refusal.startsWith('300 6 3 {"code":"too-many-streams"'), refusal);
    await faced.raw.send(cancel(1), opening(4));
    assert((await sync(faced.raw))[0].startsWith('300 6 4 {"code":"too-many-streams"'), "its handler has not settled");
    faced.finish();
    await sync(faced.raw);
    await faced.raw.send(opening(5));
    assertEquals(await sync(faced.raw), ["300 2 5"]);
  });

  it("reads a CANCEL's reason, and one without is an AbortError", async () => {
    await using faced = await held();
    await faced.raw.send(opening(1), { ...cancel(1), content: '{"code":"c","message":"m"}' }, opening(2), cancel(2));
    await until(() => faced.opened.length === 2);
    const [one, other] = faced.opened.map(({ signal }) => signal.reason);
    assertEquals([`${one}`, one.code, other.name], ["RemoteError: m", "c", "AbortError"]);
    faced.finish();
  });

  it("ignores a CANCEL with REPLY", async () => {
    await using faced = await held();
    await faced.raw.send(opening(1), { ...cancel(1), flags: REPLY });
    await sync(faced.raw);
    assertEquals(faced.opened[0].signal.aborted, false);
    faced.finish();
  });

  it("sends nothing without end to a peer that takes frames without content only", async () => {
    await using faced = await faceServer({}, (server) => {
      server.on("error", () => {});
      server.stream(BOTH, async ({ writable }) => {
        await writable.getWriter().write(new Uint8Array(10));
      });
    }, { features: TERMS, maxMessageSize: 16 });
    await faced.raw.send(opening(1));
    const frames = await sync(faced.raw);
    assert(frames.length < 3, frames.join());
  });

  it("serves a peer whose windows are tiny, byte by byte", async () => {
    const streams = { window: 1, max: 10, least: 0 };
    await using faced = await faceServer({}, (server) => {
      server.stream(BOTH, async ({ writable }) => {
        await writable.getWriter().write(new Uint8Array([97, 98]));
      });
    }, { features: { streams } });
    await faced.raw.send(opening(1));
    assertEquals(await sync(faced.raw), ["300 42 1 a"]);
    await faced.raw.send(grantOf(1, 1));
    assertEquals(await sync(faced.raw), ["300 42 1 b", "300 2 1"]);
  });

  it("agrees on terms that are no numbers by their defaults", async () => {
    const streams = { window: "x", max: -1, least: 1e9 };
    await using faced = await faceServer({}, (server) => {
      server.stream(BOTH, async ({ writable }) => {
        await writable.getWriter().write(new Uint8Array(70_000));
      });
    }, { features: { streams } });
    await faced.raw.send(opening(1));
    assertEquals(await sync(faced.raw), ["300 42 1 65536 bytes"]);
  });

  it("serves an opening that crosses its GOAWAY, and its pieces", async () => {
    await using faced = await faceServer({}, (server) => {
      server.stream(RESULT, async ({ readable }) => (await collect(readable)).length);
    }, { features: { ...TERMS, goaway: {} } });
    const { raw, server } = faced;
    const closing = server.close({ drain: 1_000 });
    assertEquals((await raw.frame())?.code, SystemCode.GOAWAY);
    await raw.send({ code: 301, flags: OPEN, requestId: 1 }, { code: SystemCode.GOAWAY, content: '{"drain":1000}' });
    await raw.send({ ...piece(1), code: 301 }, { ...piece(1, "de", PIECE | END), code: 301 });
    assertEquals(told(await raw.frame()), "301 2 1 5");
    await raw.connection.closeWrite();
    await closing;
  });

  it("a FIN before the end of a stream: its handler hears of it while another is still answered", async () => {
    const { promise: gate, resolve: finish } = Promise.withResolvers<void>();
    const ends: string[] = [];
    await using faced = await faceServer({}, (server) => {
      server.stream(RESULT, async ({ readable }) => {
        const end = (await settled(collect(readable))).split(":")[0];
        ends.push(end);
        if (end === "done") await gate;
        return 7;
      });
    });
    const { raw } = faced;
    await raw.send({ ...opening(1, END), code: 301 }, { ...opening(2), code: 301 });
    await raw.connection.closeWrite();
    assert(await soon(() => ends.length === 2), `${ends}`);
    assertEquals(ends.toSorted(), ["ConnectionError", "done"]);
    finish();
    assertEquals(told(await raw.frame()), "301 2 1 7");
    assertEquals(await raw.frame(), null);
  });

  it("takes no opening after the peer's GOAWAY: protocol-error", async () => {
    await using faced = await faceServer({}, (server) => server.stream(BOTH, () => {}), {
      features: { ...TERMS, goaway: {} },
    });
    await faced.raw.send(opening(1), { code: SystemCode.GOAWAY, content: '{"drain":1000}' }, opening(2));
    await faced.raw.connection.closeWrite();
    await faced.events.next("disconnect");
    assertEquals(faced.events.of("error").map(([error]) => error.message), [
      "The peer sent a message after it said that it goes away",
    ]);
  });
});

describe("a frame of a stream that an opener receives", () => {
  const cases: readonly [what: string, frames: readonly RawFrame[], verdict: string][] = [
    ["a piece", [piece(1, "abc", PIECE | REPLY)], "open"],
    ["a piece after END", [piece(1, "", PIECE | REPLY | END), piece(1, "a", PIECE | REPLY)], "closed"],
    ["a piece of 65,537 bytes", [piece(1, new Uint8Array(65_537), PIECE | REPLY)], "closed"],
    ["a piece beyond the window", [
      piece(1, new Uint8Array(65_536), PIECE | REPLY),
      piece(1, "a", PIECE | REPLY),
    ], "closed"],
    ["the answer", [piece(1, "5", REPLY)], "open"],
    ["the answer with another code", [{ ...piece(1, "5", REPLY), code: 300 }], "closed"],
    ["an error with another code", [{ ...piece(1, "{}", REPLY | ERROR), code: 300 }], "closed"],
    ["pieces after the answer", [piece(1, "5", REPLY), piece(1, "a", PIECE | REPLY)], "open"],
    ["a second answer", [piece(1, "5", REPLY), piece(1, "6", REPLY)], "open"],
    ["WINDOW", [grantOf(1, 100, REPLY)], "open"],
    ["WINDOW above the most", [grantOf(1, 0x7fffffff, REPLY)], "closed"],
    ["STOP", [stop(1, REPLY)], "open"],
    ["STOP without REPLY, which is about a stream of the sender", [stop(1)], "open"],
    ["WINDOW of 0", [grantOf(1, 0, REPLY)], "open"],
    ["WINDOW of three bytes", [{ ...grantOf(1, 1, REPLY), content: "abc" }], "open"],
    ["CANCEL, which only the opener may send", [cancel(1)], "open"],
    ["an opening with the same number, which is another stream", [{ ...opening(1), code: 301 }], "open"],
  ];
  for (const [what, frames, expected] of cases) {
    it(`${what}: ${expected}`, async () => {
      await using faced = await faceClient({}, TERMS);
      faced.client.on("error", () => {});
      const stream = faced.client.open(RESULT);
      assertEquals(told(await faced.raw.frame()), "301 41 1");
      const own = frames.map((frame) =>
        frame.code === 300 ? { ...frame, code: what.includes("another code") ? 300 : 301 } : frame
      );
      await faced.raw.send(...own);
      await sync(faced.raw);
      assertEquals(faced.client.state === "connected" ? "open" : "closed", expected);
      stream.abort();
    });
  }

  it("a WINDOW or a STOP does not answer an ordinary request with the same id", async () => {
    for (const frame of [grantOf(1, 1, REPLY), stop(1, REPLY)]) {
      await using faced = await faceClient({}, TERMS);
      const asked = faced.client.request(NOTE, "a");
      await faced.raw.frame();
      await faced.raw.send(frame, { code: 310, flags: REPLY, requestId: 1, content: "yes" });
      assertEquals(await asked, "yes");
    }
  });

  it("an answer that its codec refuses ends the stream with the error, and closes what is read", async () => {
    await using faced = await faceClient({}, TERMS);
    const stream = faced.client.open(RESULT);
    await faced.raw.frame();
    await faced.raw.send({ code: 301, flags: REPLY, requestId: 1, content: "{" });
    assertEquals((await settled(stream.result)).split(":")[0], "PayloadError");
    assertEquals((await settled(collect(stream.readable))).split(":")[0], "PayloadError");
  });

  it("what was received before the answer can be read after it", async () => {
    await using faced = await faceClient({}, TERMS);
    const stream = faced.client.open(BOTH);
    await faced.raw.frame();
    await faced.raw.send(piece(1, "abc", PIECE | REPLY), piece(1, "def", PIECE | REPLY), piece(1, "", REPLY));
    await stream.result;
    assertEquals(new TextDecoder().decode(await collect(stream.readable)), "abcdef");
    await assertRejects(() => stream.writable.getWriter().write(new Uint8Array(1)), DOMException, "it was answered");
  });

  it("nothing at all: a FIN ends everything with ConnectionError", async () => {
    await using faced = await faceClient({}, TERMS);
    const stream = faced.client.open(BOTH);
    const reading = settled(collect(stream.readable));
    const writing = settled(stream.writable.getWriter().write(new Uint8Array(70_000)));
    await sync(faced.raw);
    await faced.raw.connection.closeWrite();
    const ends = await Promise.all([reading, writing, settled(stream.result)]);
    assertEquals(ends.map((end) => end.split(":")[0]), Array(3).fill("ConnectionError"));
  });
});

describe("what is gathered in a turn", () => {
  it("is at most 65,536 bytes for all streams together: what is above is sent at once", async () => {
    await using faced = await faceClient({}, TERMS);
    const writers = Array.from({ length: 100 }, () => faced.client.open(BOTH).writable.getWriter());
    await sync(faced.raw);
    for (const writer of writers) {
      // The first one goes by itself, and the others are gathered.
      for (let i = 0; i < 3; i++) void writer.write(new Uint8Array(500)).catch(() => {});
    }
    const sizes: number[] = [];
    for (let size = 0; size < 150_000; size += sizes.at(-1)!) sizes.push((await faced.raw.frame())!.content.length);
    const gathered = sizes.filter((size) => size === 1_000).length;
    assert(gathered > 0 && gathered <= 66 && sizes.length === 300 - gathered, `${gathered} of ${sizes.length}`);
  });

  it("is dropped once nothing is sent any more: trying again each turn would let no other turn come", () => {
    let open = true;
    let turns = 0;
    let gathered = 0;
    const sent: number[] = [];
    const shared: SendingShared = {
      maxPiece: 65_536,
      theirs: { window: 65_536, least: 256 },
      pull: (source) => void source.pull(),
      gathers: (bytes) => (gathered += bytes, true),
      gathered: (bytes) => void (gathered -= bytes),
      later: () => void turns++,
      notLater: () => {},
      push: (source) => (open && source.push(), open),
    };
    const stream = { released: true, sendPiece: ({ length }: Uint8Array) => void sent.push(length), abort: () => {} };
    const sending = new Sending(stream, shared);
    for (let i = 0; i < 3; i++) void sending.write(new Uint8Array(10));
    sending.flush();
    assertEquals([sent, turns, gathered], [[10, 20], 2, 0]);
    void sending.write(new Uint8Array(10));
    open = false;
    for (let i = 0; i < 3; i++) sending.flush();
    assertEquals([sent, turns, gathered], [[10, 20], 2, 0]);
  });
});
