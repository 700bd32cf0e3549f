/**
 * A session of a pair that outlives its connections.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Cable, LOUD } from "../soak/resume/cable.ts";
import { type Checks, SURVIVES, TYPES } from "./contract.ts";
import { clientOf, type Protection } from "./protection.ts";

/** How many bytes of one direction a connection carries until it is cut: more than any handshake has. */
const CUT_AFTER = 16_384;
/** The messages that go there and back over connections that are cut, and their size. */
const NUMBERED = 120;
const MORE = 600;

/** The protections with which this is tried: what they add lies above the connection. */
export const SURVIVORS: readonly Protection[] = ["plain", "ws"];

/** Lets a client talk to the server at a port while its connections are cut, one after the other. */
export function survive(checks: Checks, protection: Protection, port: number): Promise<void> {
  return checks.run(SURVIVES, () => talkThroughCuts(protection, port));
}

async function talkThroughCuts(protection: Protection, port: number): Promise<void> {
  let cuts = 0;
  const cable = await Cable.listen({
    target: port,
    link(link): void {
      const [fate, way] = [LOUD[cuts % LOUD.length], cuts % 2 === 0 ? "up" : "down"] as const;
      link.before(way, CUT_AFTER, () => {
        cuts++;
        link.cut(fate);
      });
    },
  });
  const reconnect = { delay: 1, maxDelay: 10 };
  const resuming = clientOf(protection, { hostname: "127.0.0.1", port: cable.port }, { resume: true, reconnect });
  let [resumed, ended, all] = [0, 0, (): void => {}];
  resuming.on("resumed", () => resumed++);
  resuming.on("disconnect", () => ended++);
  const numbers: number[] = [];
  const done = new Promise<void>((resolve) => all = resolve);
  resuming.route(TYPES.mirror, ({ data }) => {
    if (numbers.push(data.number) === NUMBERED) all();
  });
  await resuming.connect();
  for (let number = 0; number < NUMBERED; number++) {
    if (!resuming.send(TYPES.mirror, { number, more: noise() })) await resuming.ready();
    if (number % 30 === 0) assertEquals(await resuming.request(TYPES.add, { a: number, b: 1 }), number + 1);
  }
  await done;
  assertEquals(numbers, Array.from({ length: NUMBERED }, (_, i) => i));
  assertEquals(ended, 0);
  assert(cuts >= 4 && resumed >= cuts - 1, `${cuts} cuts, ${resumed} times resumed`);
  await resuming.close();
  await cable.close();
}

/** A text that does not shrink to a part that is smaller than what is cut. */
function noise(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(MORE))));
}
