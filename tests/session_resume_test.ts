/**
 * One session over many connections: what is sent arrives once and in order, wherever the connections are cut.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Routes } from "../src/app/routes.ts";
import { json, messageType } from "../mod.ts";
import { Conversation, cutAfter } from "./resume_support.ts";
import { Random } from "./wire_support.ts";

const UP = messageType(200, "up", json<{ n: number; pad: string }>());
const DOWN = messageType(201, "down", json<{ n: number; pad: string }>());
const ASK = messageType(202, "ask", json<number>(), json<number>());

/** Counts what one end receives, and checks that it comes once and in order. */
class Serials {
  next = 0;
  readonly wrong: string[] = [];
  take(n: number): void {
    if (n !== this.next) this.wrong.push(`${n} in place of ${this.next}`);
    this.next = n + 1;
  }
}

/** A conversation whose two ends count what they get. */
function conversation(options: ConstructorParameters<typeof Conversation>[0] = {}): {
  talk: Conversation;
  up: Serials;
  down: Serials;
} {
  const up = new Serials();
  const down = new Serials();
  const server = new Routes();
  server.add(UP, ({ data }: { data: { n: number } }) => up.take(data.n));
  server.add(ASK, ({ data }: { data: number }) => data * 2);
  const client = new Routes();
  client.add(DOWN, ({ data }: { data: { n: number } }) => down.take(data.n));
  client.add(ASK, ({ data }: { data: number }) => data * 3);
  return { talk: new Conversation({ ...options, client, server }), up, down };
}

/** Resolves when `done` holds, looking after each turn of the event loop. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 0));
}

describe("a session with resumption", () => {
  it("goes on over another connection where nothing was lost", async () => {
    const { talk, up, down } = conversation();
    using _ = talk;
    const { client, server } = talk;
    for (let n = 0; n < 10; n++) client.peer.send(UP, { n, pad: "" });
    await until(() => up.next === 10);
    talk.cut();
    assertEquals([client.suspensions, server.suspensions], [["network-error"], ["replaced"]]);
    for (let n = 10; n < 20; n++) client.peer.send(UP, { n, pad: "" });
    for (let n = 0; n < 20; n++) server.peer.send(DOWN, { n, pad: "" });
    const asked = client.peer.request(ASK, 21, {});
    talk.resume();
    assertEquals(await asked, 42);
    await until(() => up.next === 20 && down.next === 20);
    assertEquals([up.wrong, down.wrong, client.errors, server.errors], [[], [], [], []]);
  });

  for (const how of ["reset", "close", "drop"] as const) {
    it(`loses nothing and repeats nothing over many cuts (${how})`, async () => {
      for (let seed = 1; seed <= 20; seed++) {
        const random = new Random(seed);
        const faults = (): { faults: () => ReturnType<typeof cutAfter> } => ({
          faults: () => ({ ...cutAfter(random.below(3_000), how), split: { seed, max: 700 } }),
        });
        const { talk, up, down } = conversation({ buffer: 65_536, first: faults() });
        using _ = talk;
        const { client, server } = talk;
        const answers: Promise<number>[] = [];
        let settled = 0;
        const ask = (from: Conversation["client"]): void => {
          const answer = from.peer.request(ASK, sent, { timeout: 60_000 });
          answers.push(answer.finally(() => settled++));
        };
        let sent = 0;
        const most = 400;
        const pump = (): void => {
          for (let i = 0; i < 10 && sent < most; i++, sent++) {
            const pad = "x".repeat(random.below(200));
            client.peer.send(UP, { n: sent, pad });
            server.peer.send(DOWN, { n: sent, pad });
            if (sent % 10 === 0) {
              ask(client);
              ask(server);
            }
          }
        };
        let cuts = 0;
        for (let calm = 0; up.next < most || down.next < most || settled < answers.length; calm++) {
          pump();
          await new Promise((resolve) => setTimeout(resolve, 0));
          const away = client.peer.session.resumption!.suspended || server.peer.session.resumption!.suspended;
          if (!away && calm < 5) continue;
          calm = 0;
          cuts++;
          talk.cut();
          talk.resume(cuts < 60 ? faults() : {});
        }
        assertEquals([up.wrong, down.wrong, client.errors, server.errors], [[], [], [], []], `seed ${seed}`);
        const got = await Promise.all(answers);
        got.forEach((value, i) => assertEquals(value, Math.floor(i / 2) * 10 * (i % 2 === 0 ? 2 : 3), `seed ${seed}`));
        assert(cuts > 5, `${cuts} cuts`);
        assertEquals([client.over, server.over], [undefined, undefined]);
      }
    });
  }
});
