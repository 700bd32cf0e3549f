/**
 * Python's `fps`: a game server and its players in one process. At each tick every player sends where it is (32 bytes), and a
 * tenth of them that they shoot (16 bytes). A tick overruns when its sending takes longer than the time between two.
 *
 * @module
 */

import { deviation, greatest, least, mean } from "../statistics.ts";
import { residentBytes } from "../usage.ts";
import { pause } from "../waiting.ts";
import type { FormBench, FormContext, Game } from "./context.ts";
import { MOVE, SHOOT, Stream, withEnds } from "./ends.ts";
import { record } from "./records.ts";

const GAMES: readonly Game[] = [{ players: 64, tickRate: 64 }, { players: 128, tickRate: 20 }];
const SECONDS = 5;
const MIB = 1024 * 1024;

/** See the module. */
export const fps: FormBench = async (context) => {
  const figures: Record<string, number> = {};
  for (const game of context.numbers?.games ?? GAMES) Object.assign(figures, await play(context, game));
  return figures;
};

async function play(context: FormContext, { players: wanted, tickRate }: Game): Promise<Record<string, number>> {
  const players = Math.min(wanted, context.pace.connections);
  return await withEnds(context, players, async (ends) => {
    const moves = new Stream(players, 32);
    const shots = new Stream(players, 16);
    ends.server.route(MOVE, ({ content }) => moves.take(content));
    ends.server.route(SHOOT, ({ content }) => shots.take(content));

    const before = residentBytes();
    const interval = 1000 / tickRate;
    const duration = 1000 * Math.max((context.numbers?.fpsSeconds ?? SECONDS) * context.pace.share, 0.2);
    const ticks: number[] = [];
    let errors = 0;
    const start = performance.now();
    // Ticks keep to a timetable: timers are not exact to a millisecond, and their errors must not add up.
    let due = start;
    for (; due - start < duration; due += interval) {
      const wait = due - performance.now();
      if (wait > 0) await pause(wait, context.signal);
      else context.signal?.throwIfAborted();
      const begin = performance.now();
      const shooters = Math.floor(begin / 100) % 10;
      for (const [i, client] of ends.clients.entries()) {
        try {
          client.send(MOVE, moves.next(i));
          if (i % 10 === shooters) client.send(SHOOT, shots.next(i));
        } catch {
          errors++;
        }
      }
      ticks.push(performance.now() - begin);
    }
    await pause(Math.max(0, due - performance.now()), context.signal);
    const elapsed = performance.now() - start;
    await moves.confirm(context);
    await shots.confirm(context);
    // What came twice would be behind: an answer comes behind that.
    await Promise.all(ends.clients.map((client) => client.ping()));

    const sent = moves.sent + shots.sent;
    const received = moves.received + shots.received;
    const overruns = ticks.filter((tick) => tick > interval).length;
    const result = record("fps", ends.backend, {
      players,
      tick_rate: tickRate,
      actual_tick_rate: 1000 * ticks.length / elapsed,
      duration_s: elapsed / 1000,
      total_sent: sent,
      total_recv: received,
      msg_per_sec: 1000 * sent / elapsed,
      success_rate: 100 * received / sent,
      ram_delta_mb: (residentBytes() - before) / MIB,
      errors,
      tick_avg_ms: mean(ticks),
      tick_min_ms: least(ticks),
      tick_max_ms: greatest(ticks),
      tick_stdev_ms: deviation(ticks),
      tick_budget_pct: 100 * (1 - overruns / ticks.length),
      overrun_ticks: overruns,
    });
    context.python(result);
    const name = `fps ${wanted} × ${tickRate} Hz`;
    return {
      [`${name}: lost`]: sent - received + errors,
      [`${name}: overrun ticks`]: overruns,
      [`${name}: longest tick`]: greatest(ticks),
      [`${name}: messages`]: 1000 * received / elapsed,
    };
  });
}
