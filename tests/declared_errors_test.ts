/** Errors that a type declares: how they are declared, thrown, told apart, and not reported. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  Client,
  empty,
  errorOf,
  fingerprint,
  isErrorOf,
  json,
  messageType,
  messageTypes,
  RemoteError,
  streamType,
  text,
  TimeoutError,
  VeltixError,
} from "../mod.ts";
import { settled, streamPeers } from "./streams_support.ts";
import { advanceUntil, memoryWorld, serve } from "./session_support.ts";

const contract = messageTypes({
  find: { payload: json<number>(), reply: text, errors: ["not-found", "busy"] },
  feed: { stream: { head: json<number>(), up: false, down: json<number>(), errors: ["ended"] } },
  plain: [json<number>(), text],
});
const { find, feed, plain } = contract;

/** What a request or a result rejects with. */
async function errorFrom(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => "it resolved", (error) => error);
}

describe("a type that declares errors", () => {
  it("has a frozen list of their codes, whichever way it is declared", () => {
    const codes = ["a", "b"];
    const types = [
      messageType(200, "x", text, text, { errors: codes }),
      streamType(200, "x", { errors: codes }),
      messageTypes({ x: { payload: text, reply: text, errors: codes } }).x,
      messageTypes({ x: { stream: { errors: codes } } }).x,
    ];
    codes.push("c");
    for (const type of types) {
      assertEquals(type.errors, ["a", "b"]);
      assert(Object.isFrozen(type.errors) && Object.isFrozen(type));
    }
    for (const type of [messageType(200, "x", text, text), streamType(200, "x"), plain]) {
      assertEquals("errors" in type, false);
    }
  });

  it("is numbered by its position like any other, and has the same fingerprint as without errors", () => {
    assertEquals([find.code, feed.code, plain.code], [200, 201, 202]);
    const without = messageTypes({
      find: [json<number>(), text],
      feed: { stream: { head: json<number>(), up: false, down: json<number>() } },
      plain: [json<number>(), text],
    });
    assertEquals(fingerprint(contract), fingerprint(without));
    // As it was before there were errors.
    assertEquals(fingerprint(messageTypes({ chat: text, who: [text, text], feed: { stream: {} } })), "2f7ceba9");
  });

  it("is refused if they are no codes that arrive as they are", () => {
    const wrong: [errors: unknown, says: string][] = [
      ["busy", 'errors must be a list of codes, not "busy"'],
      [null, "errors must be a list of codes, not null"],
      [[5], "each of its errors must be a text of 1 to 100 printable characters, not 5"],
      [[""], 'printable characters, not ""'],
      [["x".repeat(101)], "a text of 1 to 100 printable characters"],
      [["a\nb"], 'printable characters, not "a\\nb"'],
      [["a", "b", "a"], 'its errors have "a" twice'],
    ];
    for (const [errors, says] of wrong) {
      const options = { errors: errors as never };
      assertThrows(() => messageType(200, "x", text, text, options), TypeError, says);
      assertThrows(() => streamType(200, "x", options), TypeError, says);
      assertThrows(() => messageTypes({ x: { payload: text, reply: text, ...options } }), TypeError, says);
      assertThrows(() => messageTypes({ x: { stream: options } }), TypeError, says);
    }
    assertEquals(messageType(200, "x", text, text, { errors: ["x".repeat(100)] }).errors[0].length, 100);
  });

  it("is refused without a reply, and if the errors of a stream stand beside it", () => {
    const says = 'Cannot declare the message type "x": it has errors and no reply';
    assertThrows(() => messageType(200, "x", text, undefined, { errors: ["a"] as never }), TypeError, says);
    assertThrows(() => messageTypes({ x: { payload: text, errors: ["a"] } }), TypeError, says);
    assertThrows(
      () => messageTypes({ x: { stream: {}, errors: ["a"] } as never }),
      TypeError,
      'Cannot declare "x": errors of a stream is one of its parts',
    );
    assertEquals(messageType(200, "x", text, empty, { errors: ["a"] }).errors, ["a"]);
  });

  it("is refused in a contract if a part is misspelled", () => {
    assertThrows(
      () => messageTypes({ x: { payload: text, reply: text, erors: ["a"] } as never }),
      TypeError,
      'Cannot declare "x": a member has no part "erors"',
    );
  });
});

describe("errorOf()", () => {
  it("makes an error with the code and the message, which is the code by default", () => {
    const cause = new Error("why");
    const error = errorOf(find, "busy", "Try later", { cause });
    assertInstanceOf(error, VeltixError);
    assertEquals([error.code, error.message, error.cause], ["busy", "Try later", cause]);
    assertEquals(errorOf(feed, "ended").message, "ended");
  });

  it("refuses a code that the type does not declare", () => {
    assertThrows(
      () => errorOf(find, "gone" as never),
      TypeError,
      'Cannot make an error of "find": it declares no "gone", its errors are: not-found, busy',
    );
    assertThrows(() => errorOf(plain as never, "gone"), TypeError, 'error of "plain": it declares no "gone"');
  });
});

describe("isErrorOf()", () => {
  it("is true for a RemoteError with one of the codes, and for nothing else", () => {
    assert(isErrorOf(new RemoteError("busy", "x"), find));
    assert(isErrorOf(new RemoteError("ended", "x"), feed));
    const hostile = new RemoteError("busy", "x");
    Object.defineProperty(hostile, "code", {
      get(): never {
        throw new Error("no");
      },
    });
    const others = [
      new RemoteError("ended", "x"),
      errorOf(find, "busy"),
      Object.assign(new Error("x"), { code: "busy" }),
      hostile,
      undefined,
      null,
      "busy",
    ];
    for (const other of others) assertEquals(isErrorOf(other, find), false);
    assertEquals(isErrorOf(new RemoteError("busy", "x"), plain as never), false);
  });
});

describe("a handler that throws a declared error", () => {
  for (const later of [false, true]) {
    it(`${later ? "later" : "at once"} answers with it and fires no error event, on both sides`, async () => {
      await using peers = await streamPeers();
      for (const [asks, answers] of [[peers.client, peers.server], [peers.info, peers.client]] as const) {
        answers.route(find, ({ data }) => {
          const fail = (): never => {
            if (data === 0) throw errorOf(find, "not-found", "There is no 0");
            // It needs nothing but the code.
            throw Object.assign(new Error("Try later"), { code: "busy" });
          };
          return later ? Promise.resolve().then(fail) : fail();
        });
        const [first, second] = await Promise.all([0, 1].map((number) => errorFrom(asks.request(find, number))));
        assert(isErrorOf(first, find) && isErrorOf(second, find));
        assertEquals([first.code, first.message], ["not-found", "There is no 0"]);
        assertEquals([second.code, second.message], ["busy", "Try later"]);
        answers.unroute(find);
      }
      assertEquals(peers.errors, []);
    });
  }

  it("of another type still fires the error event, and so does a code that is not declared", async () => {
    await using peers = await streamPeers();
    peers.server.route(plain, () => {
      throw errorOf(find, "busy", "not of this type");
    });
    peers.server.route(find, () => {
      throw Object.assign(new Error("disk full"), { code: "ENOSPC" });
    });
    const first = await errorFrom(peers.client.request(plain, 1));
    const second = await errorFrom(peers.client.request(find, 1));
    assertEquals([first, second].map((error) => (error as RemoteError).code), ["busy", "ENOSPC"]);
    assertEquals([isErrorOf(first, find), isErrorOf(second, find)], [true, false]);
    assertEquals(peers.errors.map((error) => (error as Error).message), ["not of this type", "disk full"]);
  });

  it("is reported if nobody waits for an answer", async () => {
    await using peers = await streamPeers();
    peers.server.route(find, () => {
      throw errorOf(find, "busy", "nobody hears it");
    });
    peers.client.send(find, 1);
    await peers.client.ping();
    assertEquals(peers.errors.map((error) => (error as Error).message), ["nobody hears it"]);
  });

  it("is reported if the sender speaks a Python protocol, which has no errors", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { protocol: "1.6.3" }, (server) => {
      server.route(find, () => {
        throw errorOf(find, "busy", "not told");
      });
    });
    await using client = new Client({ ...served.address, transport: world.transport });
    await client.connect();
    const late = assertRejects(() => client.request(find, 1), TimeoutError);
    const [error] = await served.events.next("error");
    assertEquals(error.message, "not told");
    await advanceUntil(world.clock, late);
  });

  it("may pass on the error of a third side", async () => {
    await using inner = await streamPeers();
    await using outer = await streamPeers();
    inner.server.route(find, () => {
      throw errorOf(find, "not-found", "There is no 5");
    });
    outer.server.route(find, ({ data }) => inner.client.request(find, data));
    const error = await errorFrom(outer.client.request(find, 5));
    assert(isErrorOf(error, find));
    assertEquals([error.code, error.message], ["not-found", "There is no 5"]);
    assertEquals([inner.errors, outer.errors], [[], []]);
  });

  it("fails its stream with it and fires no error event", async () => {
    await using peers = await streamPeers();
    peers.server.stream(feed, async function* ({ head }): AsyncGenerator<number> {
      yield head;
      throw errorOf(feed, "ended", "There is no more");
    });
    const open = peers.client.open(feed, 7);
    const got: number[] = [];
    const loop = (async () => {
      for await (const number of open.readable) got.push(number);
    })();
    assertEquals(await settled(loop), "RemoteError: There is no more");
    const error = await errorFrom(open.result);
    assert(isErrorOf(error, feed));
    assertEquals([error.code, got, peers.errors], ["ended", [7], []]);
  });

  it("fails its stream and fires the event if the code is not declared", async () => {
    await using peers = await streamPeers();
    const thrown = Object.assign(new Error("disk full"), { code: "ENOSPC" });
    peers.server.stream(feed, () => Promise.reject(thrown));
    const error = await errorFrom(peers.client.open(feed, 7).result);
    assertEquals([isErrorOf(error, feed), (error as RemoteError).code], [false, "ENOSPC"]);
    assertEquals(peers.errors.length, 1);
    assertStrictEquals(peers.errors[0], thrown);
  });
});
