/**
 * Every attack there is, one after the other, each against a server of its own, by raw sockets in another process. Beside
 * them there are innocent clients: they are never ended, they get all broadcasts in order, a ping takes them no longer than
 * {@linkcode PING_LIMIT}, others still come in, and the server holds no more than a formula says.
 *
 * @module
 */

import { type Attack, ATTACKS, type Target } from "./attacks/catalogue.ts";
import type { CuttingServer } from "./attacks/ends.ts";
import { beInnocent, type Innocence } from "./attacks/innocent.ts";
import { beAttacked, type Damage } from "./attacks/attacked.ts";
import { type Commands, play } from "../processes/role.ts";
import { limited, sleep } from "../processes/waiting.ts";
import { mib, ms } from "./figures.ts";
import type { Child } from "./processes.ts";
import type { Context, Scenario } from "./scenario.ts";

/** The most that the p99 of an innocent client's pings may be, in milliseconds. */
const PING_LIMIT = 100;
/** How long an attack lasts, in milliseconds. */
const SPAN = { short: 800, full: 8_000 } as const;
/** Memory that the runtimes' collectors let lie around under load, in bytes. */
const GARBAGE = 128 * 2 ** 20;
/** What may be logged a second, in characters: 10 lines of each of 4 kinds, with 200 characters of a peer's and as many more. */
const LOG_RATE = 10 * 4 * 400;
/** How long a server may take to close while it is attacked, in milliseconds. */
const CLOSE_LIMIT = 5_000;

/** Why connections end that leave by themselves, as the attackers and the visitors do in the end. */
const LEFT: readonly string[] = ["going-away", "peer-closed", "network-error"];
/** What a terminal would obey. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f\u2028-\u202e]/;

/** See the module. */
export const hostile: Scenario = {
  name: "hostile",
  limit: { short: 240_000, full: 900_000 },
  async run(context: Context): Promise<string> {
    const { short, attacks: chosen } = context;
    const unknown = chosen?.find((name) => !ATTACKS.some((attack) => attack.name === name));
    if (unknown !== undefined) {
      throw new Error(`there is no attack "${unknown}": there are ${ATTACKS.map(({ name }) => name).join(", ")}`);
    }
    const attacks = ATTACKS.filter(({ name, fullOnly }) => chosen?.includes(name) ?? !(short && fullOnly === true));
    const innocent = await context.start(import.meta.url, "innocent");
    const attacker = await context.start(import.meta.url, "attacker", {}, "node");
    const serve = (attack: Attack): Promise<Child> =>
      context.start(import.meta.url, "server", attack.setting?.(short) ?? {});
    let held = 0;
    let next: Promise<Child> | undefined = serve(attacks[0]);
    for (const [i, attack] of attacks.entries()) {
      const server: Child = await (next ?? serve(attack));
      // Where delays are judged nothing else may start meanwhile.
      next = short && i + 1 < attacks.length ? serve(attacks[i + 1]) : undefined;
      next?.catch(() => {});
      try {
        if (await suffer(context, attack, { server, innocent, attacker })) held++;
      } finally {
        await server.kill();
      }
    }
    await attacker.kill();
    await innocent.end();
    return `${held} of ${attacks.length} attacks held`;
  },
};

/** The processes of one attack. */
interface Roles {
  readonly server: Child;
  readonly innocent: Child;
  readonly attacker: Child;
}

/** Has a server attacked; tells what came of it, and returns whether all holds. */
async function suffer(context: Context, attack: Attack, { server, innocent, attacker }: Roles): Promise<boolean> {
  const { short, seed, verdict } = context;
  const span = Math.max(short ? SPAN.short : SPAN.full, attack.atLeast ?? 0);
  const port = server.told as number;
  await innocent.call("join", { port, protection: attack.setting?.(short).protection });
  const trap = await attacker.call<number | undefined>("trap", attack.name);
  await server.call("begin");
  if (trap !== undefined) await server.call("visit", trap);
  await innocent.call("begin");
  const heard = server.heard;
  const begin = performance.now();
  const target: Target = { port, ms: span, seed, short };
  const attacking = limited(
    "The attack ends",
    span + 20_000,
    attacker.call<string>("attack", { name: attack.name, target }),
  );
  attacking.catch(() => {});
  // The attackers fill their table first.
  await sleep(span / 4);
  const visitors = attack.visitors === undefined ? undefined : short ? 5 : attack.visitors;
  const entered = await innocent.call<number>("visit", visitors);
  const saw = await attacking;
  const logged = server.heard - heard;
  const seconds = (performance.now() - begin) / 1_000;
  const damage = await server.call<Damage>("finish");
  const innocence = await innocent.call<Innocence>("leave", damage.sent);
  const closed = await limited("The server closes", CLOSE_LIMIT, server.call("close")).then(() => true, () => false);

  const garbage = GARBAGE + (attack.garbage?.(short) ?? 0);
  // When garbage is collected is the runtime's own affair, and on a slow machine it comes late.
  const most = (attack.most(short) + garbage) * (short ? 2 : 1);
  const mostBuffered = attack.mostBuffered?.(short) ?? attack.most(short) + 2 ** 20;
  const grown = damage.rss.max - damage.rss.before;
  const invited = visitors ?? 1;
  const failures: string[] = [];
  const check = (holds: boolean, failure: string): void => void (holds || failures.push(failure));
  check(innocence.ended.length === 0, `the innocent are ended: ${innocence.ended.join(", ")}`);
  check(innocence.inOrder, "their broadcasts are out of order");
  check(
    innocence.got === damage.sent * innocence.clients,
    `they get ${innocence.got} of ${damage.sent * innocence.clients} broadcasts`,
  );
  check(grown <= most, `memory grows by ${mib(grown)}, at most ${mib(most)} with ${mib(garbage)} of garbage`);
  check(damage.buffered <= mostBuffered, `${mib(damage.buffered)} wait to be sent, at most ${mib(mostBuffered)}`);
  check(closed, "the server does not close");
  check(logged <= (seconds + 2) * LOG_RATE, `${logged} characters are logged, at most ${LOG_RATE} a second`);
  check(!CONTROL.test(server.noise), "what the attackers wrote stands in the log as it is");
  // The short form runs where machines may be slow: there delays are shown, not judged.
  if (!short) {
    check(innocence.p99 < PING_LIMIT, `p99 of a ping is ${ms(innocence.p99)}, at most ${ms(PING_LIMIT)}`);
    const { ends } = attack;
    check(ends === undefined || damage.reasons[ends] > 0, `the attackers are not ended: ${ends}`);
    check(innocence.unanswered === 0, `${innocence.unanswered} pings are not answered`);
    check(entered >= invited * 0.95, `${entered} of ${invited} are let in`);
    if (attack.visitors !== undefined) check(damage.cpu < 0.5, `it costs ${share(damage.cpu)} of a core`);
  }

  const reasons = Object.entries(damage.reasons).filter(([reason]) => !LEFT.includes(reason)).map(([reason, times]) =>
    `${reason} ${times}`
  ).join(", ");
  context.tell({
    attack: attack.name,
    does: attack.does,
    formula: attack.formula,
    ok: failures.length === 0,
    p99: innocence.p99,
    grown,
    line: `${attack.name}: ping ${innocence.p50.toFixed(1)} / ${innocence.p99.toFixed(1)} / ${ms(innocence.max)} ` +
      `(p50, p99, max of ${innocence.pings}), broadcasts ${innocence.got} of ${damage.sent * innocence.clients}, ` +
      `let in ${entered} of ${invited}, CPU ${share(damage.cpu)}, ` +
      `RSS ${mib(damage.rss.before)} → ${mib(damage.rss.max)}, buffered ${mib(damage.buffered)}, ` +
      `log ${(logged / 1_024).toFixed(1)} KiB; attackers: ${saw}` +
      `${reasons === "" ? "" : `; closed: ${reasons}`}${damage.rejected === 0 ? "" : `; rejected ${damage.rejected}`}` +
      failures.map((failure) => `; NOT SO: ${failure}`).join(""),
  });
  for (const failure of failures) verdict.check(false, `${attack.name}: ${failure}`);
  return failures.length === 0;
}

function share(value: number): string {
  return `${(value * 100).toFixed(0)} %`;
}

function beHostile(): Commands {
  const find = (wanted: string): Attack => ATTACKS.find(({ name }) => name === wanted)!;
  let trap: CuttingServer | undefined;
  return {
    async trap(name: string): Promise<number | undefined> {
      trap = await find(name).trap?.();
      return trap?.port;
    },
    attack({ name, target }: { name: string; target: Target }): Promise<string> {
      return find(name).run(target, trap);
    },
    close(): void {},
  };
}

if (import.meta.main) await play({ server: beAttacked, innocent: beInnocent, attacker: beHostile });
