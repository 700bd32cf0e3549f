import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FakeClock } from "../src/adapters/memory.ts";
import { Timeout, TimerWheel } from "../src/base/timer_wheel.ts";
import type { Clock } from "../src/base/clock.ts";
import { Random } from "./wire_support.ts";

/** An entry that notes when it expired. */
function noted(clock: FakeClock, times: number[]): Timeout {
  return new Timeout(() => times.push(clock.now()));
}

describe("the timer wheel", () => {
  it("comes up to two ticks late and never early, whatever the deadline", async () => {
    for (const start of [0, 3, 9.5, 10, 123_456.789]) {
      const clock = new FakeClock(start);
      const wheel = new TimerWheel(clock);
      for (const ms of [0.5, 1, 9, 10, 11, 99, 5_109, 5_110, 5_119, 5_120, 5_121, 5_130, 10_240, 60_000, 600_000]) {
        const times: number[] = [];
        const from = clock.now();
        wheel.add(noted(clock, times), ms);
        await clock.advance(ms + 20);
        assertEquals(times.length, 1, `${ms} ms from ${start}`);
        assert(times[0] >= from + ms && times[0] <= from + ms + 20, `${ms} ms from ${start} came at ${times[0]}`);
      }
      wheel.close();
      assertEquals(clock.pending, 0);
    }
  });

  it("serves a few entries as many at their time, while they become more and fewer again", async () => {
    const random = new Random(12);
    for (const most of [1, 7, 8, 9, 12]) {
      const clock = new FakeClock();
      const wheel = new TimerWheel(clock);
      const due = new Map<Timeout, number>();
      let expired = 0;
      for (let i = 0; i < 500; i++) {
        if (due.size < most) {
          const entry: Timeout = new Timeout(() => {
            const late = clock.now() - due.get(entry)!;
            assert(late >= 0 && late <= 20, `${late} ms late with up to ${most}`);
            due.delete(entry);
            expired++;
          });
          const ms = 1 + random.below(8_000);
          due.set(entry, clock.now() + ms);
          wheel.add(entry, ms);
        }
        const some = [...due.keys()][random.below(due.size)];
        if (random.below(4) === 0 && some !== undefined) {
          wheel.remove(some);
          wheel.remove(some);
          due.delete(some);
        }
        assertEquals(wheel.size, due.size);
        await clock.advance(random.below(600));
      }
      await clock.advance(9_000);
      assertEquals([wheel.size, due.size], [0, 0]);
      assert(expired > 5, `${expired} of up to ${most} expired`);
      wheel.close();
      assertEquals(clock.pending, 0);
    }
  });

  it("serves thousands of random deadlines, adds and removals at their time", async () => {
    const random = new Random(11);
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const late: string[] = [];
    let expired = 0;
    const open = new Map<Timeout, number>();
    const add = (entry: Timeout): void => {
      const ms = 1 + random.below(12_000);
      open.set(entry, clock.now() + ms);
      wheel.add(entry, ms);
    };
    const make = (): Timeout => {
      const entry: Timeout = new Timeout(() => {
        const late_ = clock.now() - open.get(entry)!;
        if (late_ < 0 || late_ > 20) late.push(`${late_} ms at ${clock.now()}`);
        open.delete(entry);
        expired++;
        if (random.below(3) === 0) add(entry);
      });
      return entry;
    };
    for (let i = 0; i < 400; i++) {
      for (let n = 0; n < 5; n++) add(make());
      const [some] = open.keys();
      if (random.below(2) === 0 && some !== undefined) {
        wheel.remove(some);
        open.delete(some);
      }
      assertEquals(wheel.size, open.size);
      await clock.advance(random.below(200));
    }
    for (const [entry, due] of open) if (due < clock.now() - 20) late.push(`${due} is overdue`), wheel.remove(entry);
    assertEquals(late, []);
    assert(expired > 1_000);
    wheel.close();
  });

  it("serves a near deadline although an expiring entry hung itself up again far away", async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const times: number[] = [];
    const again: Timeout = new Timeout(() => wheel.add(again, 10_000));
    wheel.add(again, 100);
    wheel.add(noted(clock, times), 200);
    await clock.advance(1_000);
    assertEquals(times, [210]);
    wheel.close();
  });

  it("calls a deadline that is late a moment later: what came in time may take it down", () => {
    let now = 0;
    let id = 0;
    const timers = new Map<unknown, { readonly due: number; readonly fn: () => void }>();
    const clock = {
      now: () => now,
      setTimeout: (fn: () => void, ms: number) => {
        timers.set(++id, { due: now + ms, fn });
        return id;
      },
      clearTimeout: (id: unknown) => void timers.delete(id),
      unref: () => {},
    };
    /** Lets the timers that are due at `time` run once. */
    const at = (time: number): void => {
      now = time;
      for (const [id, { due, fn }] of [...timers]) if (due <= now && timers.delete(id)) fn();
    };
    const wheel = new TimerWheel(clock);
    const calls: string[] = [];
    const answered = new Timeout(() => calls.push("answered"));
    wheel.add(answered, 1_000);
    wheel.add(new Timeout(() => calls.push("silent")), 1_000);
    at(1_400);
    assertEquals(calls, []);
    wheel.remove(answered);
    wheel.add(new Timeout(() => calls.push("next")), 100);
    at(1_419);
    assertEquals(calls, []);
    at(1_420);
    assertEquals(calls, ["silent"]);
    at(1_520);
    assertEquals([calls, wheel.size], [["silent", "next"], 0]);
    // One standstill after the other puts it off, but not without end.
    wheel.add(new Timeout(() => calls.push("busy")), 10);
    for (let time = 2_000; time < 2_400; time += 100) at(time);
    assertEquals(calls, ["silent", "next"]);
    at(2_400);
    assertEquals(calls, ["silent", "next", "busy"]);
    // A wheel that is closed meanwhile calls nobody.
    wheel.add(new Timeout(() => calls.push("never")), 10);
    at(3_000);
    wheel.close();
    at(4_000);
    assertEquals([calls.length, timers.size], [3, 0]);
  });

  it("looks by turns of the loop where timers are throttled, and is no later than its timer", () => {
    let now = 0;
    const timers: (() => void)[] = [];
    const turns: (() => void)[] = [];
    const clock = {
      now: () => now,
      setTimeout: (fn: () => void) => timers.push(fn),
      clearTimeout: () => {},
      unref: () => {},
    };
    const wheel = new TimerWheel(clock, { throttled: () => true, yield: (fn) => void turns.push(fn) });
    const calls: string[] = [];
    const answered = new Timeout(() => calls.push("answered"));
    wheel.add(answered, 1_000);
    wheel.add(new Timeout(() => calls.push("silent")), 1_000);
    now = 60_000;
    timers.pop()!();
    assertEquals(calls, []);
    // What has arrived is read in these turns.
    turns.shift()!();
    wheel.remove(answered);
    for (let i = 0; turns.length > 0 && i < 100; i++) turns.shift()!();
    assertEquals([calls, wheel.size, timers.length], [["silent"], 0, 0]);
    // A wheel that is closed meanwhile calls nobody.
    wheel.add(new Timeout(() => calls.push("never")), 10);
    now = 120_000;
    timers.pop()!();
    wheel.close();
    for (let i = 0; turns.length > 0 && i < 100; i++) turns.shift()!();
    assertEquals([calls, turns, timers.length], [["silent"], [], 0]);
  });

  it("serves everything that is due after a stall longer than its whole turn", () => {
    let now = 0;
    const timers: (() => void)[] = [];
    const wheel = new TimerWheel({
      now: () => now,
      setTimeout: (fn) => timers.push(fn) - 1,
      clearTimeout: (i) => timers[i as number] = () => {},
      unref: () => {},
    });
    let expired = 0;
    for (let ms = 1; ms <= 8_000; ms += 7) wheel.add(new Timeout(() => expired++), ms);
    const pending = new Timeout(() => expired = -1);
    wheel.add(pending, 60_000);
    now = 20_000;
    for (const fn of timers.splice(0)) fn();
    assertEquals(expired, 0, "it looks at what came first");
    for (const fn of timers.splice(0)) fn();
    assertEquals([expired, wheel.size], [Math.ceil(8_000 / 7), 1]);
    wheel.close();
  });

  it("serves what is late in the order of the deadlines, a few as many", () => {
    for (const count of [3, 8, 20]) {
      let now = 0;
      const timers: (() => void)[] = [];
      const clock: Clock = {
        now: () => now,
        setTimeout: (fn) => timers.push(fn),
        clearTimeout: () => {},
        unref: () => {},
      };
      const wheel = new TimerWheel(clock);
      const order: number[] = [];
      for (let i = 1; i <= count; i++) wheel.add(new Timeout(() => order.push(i)), 50 * ((i * 7) % count + 1));
      const due = (i: number): number => (i * 7) % count;
      now = 5_000;
      // At the second time: before, what came meanwhile is read.
      for (let time = 0; time < 2; time++) for (const fn of timers.splice(0)) fn();
      assertEquals(order, Array.from({ length: count }, (_, i) => i + 1).sort((a, b) => due(a) - due(b)));
      wheel.close();
    }
  });

  it("leaves alone what an expiring entry takes down or hangs up anew in the same tick", async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const order: string[] = [];
    const removed = new Timeout(() => order.push("removed"));
    const moved = new Timeout(() => order.push("moved"));
    wheel.add(removed, 50);
    wheel.add(moved, 50);
    // What was added last is served first.
    wheel.add(
      new Timeout(() => {
        order.push("first");
        wheel.remove(removed);
        wheel.add(moved, 100);
      }),
      50,
    );
    await clock.advance(60);
    assertEquals(order, ["first"]);
    await clock.advance(110);
    assertEquals(order, ["first", "moved"]);
    wheel.close();
  });

  it("keeps one real timer whatever hangs in it, and none once it is closed", async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const entries = [5_000, 100, 60_000, 100, 30].map((ms) => {
      const entry = new Timeout(() => {});
      wheel.add(entry, ms);
      return entry;
    });
    assertEquals([clock.pending, wheel.size], [1, 5]);
    await clock.advance(200);
    assertEquals([clock.pending, wheel.size], [1, 2]);
    wheel.close();
    assertEquals([clock.pending, wheel.size], [0, 0]);
    for (const entry of entries) wheel.remove(entry);
    wheel.add(new Timeout(() => {}), 10);
    assertEquals([clock.pending, wheel.size], [0, 0], "a closed wheel takes nothing any more");
  });

  it("gives its entries up when it is closed, so that another wheel can take them", async () => {
    for (const count of [1, 20]) {
      const clock = new FakeClock();
      const [old, next] = [new TimerWheel(clock), new TimerWheel(clock)];
      const fired: number[] = [];
      const entries = Array.from({ length: count }, (_, i) => new Timeout(() => fired.push(i)));
      for (const entry of entries) old.add(entry, 50);
      const other = new Timeout(() => fired.push(-1));
      next.add(other, 30);
      old.close();
      assert(entries.every(({ tick }) => tick === -1));
      for (const entry of entries) next.add(entry, 100);
      assertEquals(next.size, count + 1);
      await clock.advance(200);
      assertEquals(fired.sort((a, b) => a - b), [-1, ...entries.keys()]);
      next.close();
    }
  });

  it("never asks the clock for more than a runtime can wait", async () => {
    const clock = new FakeClock();
    const longest: number[] = [];
    const wheel = new TimerWheel({
      now: () => clock.now(),
      setTimeout: (fn, ms) => (longest.push(ms), clock.setTimeout(fn, ms)),
      clearTimeout: (timer) => clock.clearTimeout(timer as never),
      unref: () => {},
    });
    let expired = 0;
    wheel.add(new Timeout(() => expired++), 0x7fffffff);
    await clock.advance(60_000);
    assertEquals([expired, wheel.size, longest.every((ms) => ms <= 5_120)], [0, 1, true]);
    wheel.close();
    assertEquals(clock.pending, 0);
  });

  it("waits for a promise within a time, says which came first, and takes its entry down", async () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const outcomes: [string, boolean][] = [];
    const wait = (name: string, promise: Promise<unknown>): void =>
      void wheel.within(100, promise).then((inTime) => outcomes.push([name, inTime]));
    const later = Promise.withResolvers<void>();
    const failing = Promise.withResolvers<void>();
    wait("settles", later.promise);
    wait("fails", failing.promise);
    wait("never", new Promise(() => {}));
    assertEquals(wheel.size, 3);
    await clock.advance(50);
    assertEquals(outcomes, []);
    later.resolve();
    await clock.advance(0);
    failing.reject(new Error("nobody else looks at it"));
    await clock.advance(0);
    assertEquals([outcomes, wheel.size], [[["settles", true], ["fails", true]], 1]);
    await clock.advance(70);
    assertEquals([outcomes.slice(2), wheel.size], [[["never", false]], 0]);
    wheel.close();
    wait("without time", Promise.resolve());
    await clock.advance(0);
    assertEquals(outcomes.slice(3), [["without time", true]]);
  });
});
