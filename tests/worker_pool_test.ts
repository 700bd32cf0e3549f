/** The pool of a worker route, on threads that the test plays. */

import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { messageType, replied, text } from "../mod.ts";
import {
  BackpressureError,
  ConfigError,
  MessageTypeError,
  PayloadError,
  TimeoutError,
  type VeltixError,
  WorkerError,
} from "../src/errors.ts";
import type { Report } from "../src/workers/worker_messages.ts";
import { microtasks, turn, until } from "./session_support.ts";
import { BOOM, fakePool, fakeRoutePool } from "./worker_support.ts";

/** Lets the pool load its threads. */
const loaded = (): Promise<void> => microtasks(10);

/** Whatever a promise rejects with. */
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => new Error("it resolved"), (error) => error);

describe("a worker pool", () => {
  it("starts no thread without a message, and no more than work at once", async () => {
    const { pool, threads, run } = fakePool({ threads: 4 });
    await loaded();
    assertEquals(threads.length, 0);
    const replies = ["a", "b"].map((content) => run(content));
    await loaded();
    assertEquals(threads.length, 2);
    threads.forEach((thread) => thread.ready());
    threads.forEach((thread) => thread.answer(`${thread.task}!`));
    assertEquals(await Promise.all(replies), ["a!", "b!"]);
    const again = run("c");
    assertEquals([threads.length, threads[0].task], [2, "c"]);
    threads[0].answer("c!");
    assertEquals(await again, "c!");
    await pool.stop();
  });

  it("takes one thread less than there are cores by default", async () => {
    const { pool, threads, run } = fakePool({ threads: undefined });
    const replies = Array.from("abcdef", (content) => failure(run(content)));
    await loaded();
    assertEquals(threads.length, 3);
    await pool.stop();
    await Promise.all(replies);
  });

  it("gives a thread one message at a time, in the order they came", async () => {
    const { pool, threads: [, ...none], threads, run } = fakePool({ threads: 1 });
    const order: unknown[] = [];
    const all = Array.from("abc", (content) => run(content).then((reply) => order.push(reply)));
    await loaded();
    assertEquals([threads[0].orders.length, none.length], [0, 0]);
    threads[0].ready();
    for (const content of "abc") {
      assertEquals([threads[0].task, threads[0].orders.length], [content, "abc".indexOf(content) + 1]);
      threads[0].answer(content);
    }
    await Promise.all(all);
    assertEquals([order, threads.length], [["a", "b", "c"], 1]);
    await pool.stop();
  });

  it("ignores what else a module posts to the program", async () => {
    const { pool, threads, run } = fakePool({ threads: 1 });
    const reply = run("a");
    await loaded();
    threads[0].ready();
    const ready = { kind: "ready", code: 200, name: "job", replies: true };
    const words: unknown[] = [null, undefined, "progress", 7, {}, ready, { kind: "broken" }, { kind: "failed", id: 1 }];
    words.push({ kind: "done", id: 1, reply: 1e15 }, { kind: "unusable", exported: "nothing" });
    for (const word of words) threads[0].say(word as Report);
    threads[0].answer("A");
    assertEquals([await reply, threads.length], ["A", 1]);
    await pool.stop();
  });

  it("ignores an answer to another message than the one in the thread", async () => {
    const { pool, threads: started, run } = fakePool({ threads: 1 });
    const reply = run("a");
    await loaded();
    started[0].ready();
    started[0].say({ kind: "done", id: 99, reply: undefined });
    started[0].answer("right");
    assertEquals(await reply, "right");
    await pool.stop();
  });

  it("goes on after a payload that cannot be sent to the thread", async () => {
    const { pool, threads, run } = fakePool({ threads: 1 });
    const [bad, good] = ["bad", "good"].map((content) => run(content));
    const failed = assertRejects(() => bad, Error, "Its buffer is detached");
    await loaded();
    // It is tried once more with a copy.
    threads[0].refuses = 2;
    threads[0].ready();
    await failed;
    assertEquals(threads[0].task, "good");
    threads[0].answer("good!");
    assertEquals(await good, "good!");
    await pool.stop();
  });

  it("refuses what is above maxQueued", async () => {
    const { pool, run } = fakePool({ maxQueued: 2 });
    const taken = [failure(run("a")), failure(run("b"))];
    const error = await assertRejects(() => run("c"), BackpressureError, 'Cannot handle "job": 2 messages wait');
    assertEquals((error as BackpressureError).code, "queue-full");
    await pool.stop();
    await Promise.all(taken);
  });

  it("passes on what a handler throws: class of a payload error, else name, code, text and stack", async () => {
    const { pool, threads, run } = fakePool({ threads: 1 });
    const first = failure(run("a"));
    await loaded();
    threads[0].ready();
    threads[0].say({ kind: "failed", id: 1, error: BOOM });
    const error = await first as Error & { code: string };
    assertEquals([error.name, error.message, error.code, error.stack], ["Error", "boom", "E_BOOM", BOOM.stack]);
    const second = failure(run("b"));
    threads[0].say({ kind: "failed", id: 2, error: { ...BOOM, name: "PayloadError", code: "invalid-payload" } });
    assertEquals((await second) instanceof PayloadError, true);
    assertEquals(threads.length, 1);
    await pool.stop();
  });

  it("fails the message of a thread that dies, and replaces the thread", async () => {
    const { pool, threads, failures, run } = fakePool({ threads: 1 });
    const dead = failure(run("a"));
    const next = run("b");
    await loaded();
    threads[0].ready();
    threads[0].die("boom");
    const error = await dead as WorkerError;
    assertEquals(error instanceof WorkerError && [error.code, (error.cause as Error).message], [
      "worker-crashed",
      "boom",
    ]);
    assertEquals(threads.length, 2);
    threads[1].ready();
    threads[1].answer("b!");
    assertEquals([await next, failures], ["b!", []]);
    await pool.stop();
  });

  it("tells of a thread that dies with nothing in it", async () => {
    const { pool, threads, failures, run } = fakePool({ threads: 1 });
    const reply = run("a");
    await loaded();
    threads[0].ready();
    threads[0].answer("a!");
    await reply;
    threads[0].die("late");
    assertEquals((failures[0] as WorkerError).code, "worker-crashed");
    assertEquals(threads.length, 1);
    await pool.stop();
  });

  it("cuts a thread whose message takes longer than timeout, and goes on with another", async () => {
    const { pool, threads, clock, run } = fakePool({ threads: 1, timeout: 500 });
    const stuck = failure(run("a"));
    const next = run("b");
    await loaded();
    await clock.advance(400); // Loading does not count.
    threads[0].ready();
    await clock.advance(499);
    assertEquals(threads[0].terminated, false);
    await clock.advance(1);
    const error = await stuck;
    assertEquals(error instanceof TimeoutError && error.code, "timeout");
    assertEquals([threads[0].terminated, threads.length], [true, 2]);
    threads[0].answer("too late");
    threads[1].ready();
    await clock.advance(499);
    threads[1].answer("b!");
    assertEquals(await next, "b!");
    await clock.advance(1_000);
    assertEquals(threads[1].terminated, false);
    await pool.stop();
  });

  it("drops a waiting message when its signal fires, and tells the thread of one at work", async () => {
    const { pool, threads, run } = fakePool({ threads: 1 });
    const [first, second] = [new AbortController(), new AbortController()];
    const working = run("a", first.signal);
    const waiting = run("b", second.signal);
    await loaded();
    threads[0].ready();
    const reason = Object.assign(new Error("gone"), { code: "closed" });
    first.abort(reason);
    second.abort(reason);
    assertEquals(await waiting, replied);
    const abort = threads[0].orders.at(-1)!;
    assertEquals(abort.kind === "abort" && [abort.id, abort.reason.message, abort.reason.code], [1, "gone", "closed"]);
    threads[0].answer("a!");
    assertEquals([await working, threads[0].orders.length], ["a!", 2]);
    assertEquals(await run("c", second.signal), replied);
    await pool.stop();
  });

  it("ends its threads when it is retired, after what came before", async () => {
    const { pool, threads, run } = fakePool({ threads: 2 });
    const replies = Array.from("abc", (content) => run(content));
    await loaded();
    threads.forEach((thread) => thread.ready());
    pool.retire();
    assertEquals(threads.map(({ terminated }) => terminated), [false, false]);
    threads[0].answer("a");
    threads[1].answer("b");
    assertEquals(threads.map(({ terminated }) => terminated), [false, true]);
    threads[0].answer("c");
    assertEquals(await Promise.all(replies), ["a", "b", "c"]);
    assertEquals(threads.map(({ terminated }) => terminated), [true, true]);
    await microtasks(5);
    assertEquals(pool.empty, true);
  });

  it("does what waits for a thread that still loads when it is retired", async () => {
    const { pool, threads, run } = fakePool({ threads: 1 });
    const reply = run("a");
    await loaded();
    pool.retire();
    threads[0].ready();
    threads[0].answer("a!");
    assertEquals([await reply, threads[0].terminated], ["a!", true]);
    await pool.stop();
  });

  it("is stopped when its threads are over", async () => {
    const { pool, threads, run } = fakePool({ threads: 1 });
    const failed = failure(run("a"));
    await loaded();
    const { promise, resolve } = Promise.withResolvers<void>();
    threads[0].over = promise;
    let stopped = false;
    const stopping = pool.stop().then(() => stopped = true);
    await failed;
    await microtasks(10);
    assertEquals([threads[0].terminated, stopped], [true, false]);
    resolve();
    await stopping;
  });

  it("fails all messages when it is stopped, and starts threads anew afterwards", async () => {
    const { pool, threads, run } = fakePool({ threads: 1 });
    const failed = [failure(run("a")), failure(run("b"))];
    await loaded();
    threads[0].ready();
    await pool.stop();
    for (const error of await Promise.all(failed)) assertEquals((error as WorkerError).code, "worker-stopped");
    assertEquals([threads[0].terminated, pool.empty], [true, true]);
    const reply = run("c");
    threads[1].ready();
    threads[1].answer("c!");
    assertEquals(await reply, "c!");
    await pool.stop();
  });
});

describe("a worker's module that can't be used", () => {
  const faults = [
    ["exports nothing", { kind: "unusable", exported: "nothing" }, ConfigError, "its default export is nothing"],
    ["throws", { kind: "broken", error: BOOM }, ConfigError, 'Cannot use the worker "file:///job.ts": boom'],
    ["has another code", { kind: "ready", code: 201, name: "x", replies: true }, MessageTypeError, '"x", code 201'],
    ["has no reply", { kind: "ready", code: 200, name: "x", replies: false }, MessageTypeError, "only one of the two"],
  ] as const;
  for (const [name, report, kind, part] of faults) {
    it(`fails each message when it ${name}`, async () => {
      const { pool, threads, failures, run } = fakePool({ threads: 1 });
      const both = [run("a"), run("b")];
      const errors = Promise.all(both.map((promise) => assertRejects(() => promise, kind as typeof VeltixError, part)));
      await loaded();
      threads[0].say(report);
      await errors;
      assertEquals([threads.length, threads[0].terminated, failures], [1, true, []]);
      await pool.stop();
    });
  }

  it("is tried again after a pause that doubles, up to 30 s, and never without a message", async () => {
    const { pool, threads, clock, run } = fakePool({ threads: 1 });
    await failAt(0);
    for (let pause = 100; pause <= 30_000; pause = Math.min(pause * 2, 30_000)) {
      await clock.advance(pause - 1);
      const count = threads.length;
      await assertRejects(() => run("early"), ConfigError, "boom");
      assertEquals(threads.length, count);
      await clock.advance(1);
      assertEquals(threads.length, count);
      await failAt(count);
      if (pause === 30_000) break;
    }
    await clock.advance(30_000);
    const reply = run("good");
    threads.at(-1)!.ready();
    threads.at(-1)!.answer("good!");
    assertEquals(await reply, "good!");
    // From the beginning again.
    threads.at(-1)!.die("later");
    await failAt(threads.length);
    await clock.advance(100);
    await failAt(threads.length);
    await pool.stop();

    async function failAt(index: number): Promise<void> {
      const failed = assertRejects(() => run("x"), ConfigError, "boom");
      await loaded();
      assertEquals(threads.length, index + 1);
      threads[index].say({ kind: "broken", error: BOOM });
      await failed;
    }
  });

  it("counts as one failure when several threads fail together, told once and by each message", async () => {
    const { pool, threads, clock, failures, run } = fakePool({ threads: 2 });
    const errors = Array.from("abc", (content) => failure(run(content)));
    await loaded();
    threads.forEach((thread) => thread.die("no memory"));
    for (const error of await Promise.all(errors)) assertEquals((error as ConfigError).code, "invalid-config");
    assertEquals([threads.length, failures.length], [2, 1]);
    await clock.advance(100);
    const next = failure(run("d"));
    assertEquals(threads.length, 3);
    await pool.stop();
    await next;
  });

  it("fails no message while another thread works", async () => {
    const { pool, threads, failures, run } = fakePool({ threads: 2 });
    const replies = Array.from("abc", (content) => run(content));
    await loaded();
    threads[0].ready();
    threads[1].say({ kind: "broken", error: BOOM });
    assertEquals(failures.length, 1);
    for (const content of "abc") threads[0].answer(content);
    assertEquals(await Promise.all(replies), ["a", "b", "c"]);
    await pool.stop();
  });

  it("is given up after 30 s", async () => {
    const { pool, threads, clock, run } = fakePool({ threads: 1 });
    const failed = assertRejects(() => run("a"), ConfigError, "it took more than 30000 ms");
    await loaded();
    await clock.advance(30_000);
    await failed;
    assertEquals(threads[0].terminated, true);
    threads[0].ready();
    await assertRejects(() => run("b"), ConfigError, "it took more than 30000 ms");
    await pool.stop();
  });

  it("is reported as unsupported where there are no threads", async () => {
    const { run } = fakePool({ load: () => Promise.reject(new Error("none")) });
    const error = await failure(run("a"));
    assertEquals(error instanceof ConfigError && error.code, "unsupported");
  });
});

describe("a worker's type", () => {
  it("may have no reply on both sides", async () => {
    const { pool, threads, run } = fakePool({ type: messageType(200, "job", text), threads: 1 });
    const done = run("a");
    await loaded();
    threads[0].say({ kind: "ready", code: 200, name: "job", replies: false });
    threads[0].say({ kind: "done", id: 1, reply: undefined });
    assertEquals(await done, undefined);
    await pool.stop();
  });
});

describe("a worker pool that is imported when it is needed", () => {
  it("gives the threads what has come until then in that order, and is empty before and after", async () => {
    const { pool, threads, run } = fakeRoutePool({ threads: 1 });
    assertEquals(pool.empty, true);
    const sent: string[] = [];
    const replies: Promise<unknown>[] = [];
    // One in each turn, so that some come before, some after, and one at the very moment when it is there.
    while (threads.length === 0 || sent.length < 20) {
      sent.push(String(sent.length));
      replies.push(run(sent.at(-1)!));
      assertEquals(pool.empty, false);
      await (sent.length % 8 === 0 ? turn() : Promise.resolve());
    }
    await loaded();
    threads[0].ready();
    const handled = sent.map(() => {
      const { task } = threads[0];
      threads[0].answer(`${task}!`);
      return task;
    });
    assertEquals(handled, sent);
    assertEquals(await Promise.all(replies), sent.map((content) => `${content}!`));
    await pool.stop();
    assertEquals([pool.empty, threads.length], [true, 1]);
  });

  it("rejects what waits for it when it is stopped, and handles what comes after that", async () => {
    const { pool, threads, run } = fakeRoutePool();
    const early = failure(run("early"));
    await pool.stop();
    const late = run("late");
    const error = await early as WorkerError;
    assertEquals([error instanceof WorkerError, error.code], [true, "worker-stopped"]);
    await until(() => threads.length === 1);
    threads[0].ready();
    assertEquals(threads[0].task, "late");
    threads[0].answer("done");
    assertEquals(await late, "done");
    await pool.stop();
  });

  it("handles what waits for it when its route is removed, and then ends its threads", async () => {
    const { pool, threads, run } = fakeRoutePool();
    const reply = run("last");
    pool.retire();
    await until(() => threads.length === 1);
    threads[0].ready();
    threads[0].answer("done");
    assertEquals([await reply, threads[0].terminated], ["done", true]);
    await until(() => pool.empty);
  });

  it("starts no thread for a message that nobody waits for any more once it is there", async () => {
    const { pool, threads, run } = fakeRoutePool();
    const abort = new AbortController();
    const reply = run("a", abort.signal);
    abort.abort();
    assertEquals([await reply, threads.length], [replied, 0]);
    await pool.stop();
  });
});
