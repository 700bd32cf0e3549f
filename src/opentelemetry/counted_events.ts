/**
 * Counts the events of connections: those that are rare, so that nothing is done for each message.
 *
 * @module
 */

import type { Client } from "../client/client.ts";
import type { Server } from "../server/server.ts";
import type { Guard } from "./guard.ts";
import type { Instruments } from "./instruments.ts";
import { ATTRIBUTE, METRIC } from "./names.ts";
import type { GoneConnections } from "./observed.ts";
import { metricErrorType } from "./outcome.ts";

/** Counts the events of a server, until `signal` is aborted. */
export function countServerEvents(
  server: Server<unknown>,
  instruments: Instruments,
  guard: Guard,
  gone: GoneConnections,
  signal: AbortSignal,
): void {
  server.on("rejected", ({ reason }) => {
    guard.run(() => instruments.count(METRIC.refused, { [ATTRIBUTE.errorType]: reason }));
  }, { signal });
  server.on("disconnect", (client, { reason }) => {
    guard.run(() => {
      gone.add(client.stats());
      instruments.count(METRIC.disconnects, { [ATTRIBUTE.closeReason]: reason });
    });
  }, { signal });
  server.on("suspended", (_client, { reason }) => countSuspended(instruments, guard, reason), { signal });
  server.on("resumed", () => countResumed(instruments, guard), { signal });
  server.on("limited", ({ action }) => countLimited(instruments, guard, action), { signal });
}

/** Counts the events of a client, until `signal` is aborted. */
export function countClientEvents(
  client: Client,
  instruments: Instruments,
  guard: Guard,
  gone: GoneConnections,
  signal: AbortSignal,
): void {
  client.on("connect", ({ attempt }) => {
    if (attempt > 0) guard.run(() => instruments.count(METRIC.reconnects));
  }, { signal });
  client.on("failed", ({ error, reason }) => {
    if (reason === "manual") return;
    guard.run(() => instruments.count(METRIC.connectFailures, { [ATTRIBUTE.errorType]: metricErrorType(error) }));
  }, { signal });
  client.on("disconnect", ({ reason, stats }) => {
    // Without counters it tells of an attempt that failed.
    if (stats === undefined) return;
    guard.run(() => {
      gone.add(stats);
      instruments.count(METRIC.disconnects, { [ATTRIBUTE.closeReason]: reason });
    });
  }, { signal });
  client.on("suspended", ({ reason }) => countSuspended(instruments, guard, reason), { signal });
  client.on("resumed", () => countResumed(instruments, guard), { signal });
  client.on("limited", ({ action }) => countLimited(instruments, guard, action), { signal });
}

function countSuspended(instruments: Instruments, guard: Guard, reason: string): void {
  guard.run(() => instruments.count(METRIC.suspensions, { [ATTRIBUTE.closeReason]: reason }));
}

function countResumed(instruments: Instruments, guard: Guard): void {
  guard.run(() => instruments.count(METRIC.resumptions));
}

function countLimited(instruments: Instruments, guard: Guard, action: string): void {
  guard.run(() => instruments.count(METRIC.limited, { [ATTRIBUTE.action]: action }));
}
