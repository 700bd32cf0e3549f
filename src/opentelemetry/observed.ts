/**
 * The metrics that are read from `stats()` when somebody collects them. They cost nothing between two collections.
 *
 * @module
 */

import type { Attributes, BatchObservableResult, Meter, Observable } from "@opentelemetry/api";
import type { Client } from "../client/client.ts";
import type { Server } from "../server/server.ts";
import type { SessionStats } from "../session/counters.ts";
import type { Guard } from "./guard.ts";
import { ATTRIBUTE, METRIC, type MetricName } from "./names.ts";

const OBSERVED = {
  connections: METRIC.connections,
  io: METRIC.io,
  frames: METRIC.frames,
  buffered: METRIC.buffered,
  queue: METRIC.queue,
  pending: METRIC.pending,
  running: METRIC.running,
  streams: METRIC.streams,
  dropped: METRIC.dropped,
} as const;

type Instrument = keyof typeof OBSERVED;
type Tell = (instrument: Instrument, value: number, attributes?: Attributes) => void;

/** The sums of counters that only grow. */
interface Totals {
  framesSent: number;
  framesReceived: number;
  bytesSent: number;
  bytesReceived: number;
}

/** The counters of the connections that are over. */
export class GoneConnections implements Totals {
  framesSent = 0;
  framesReceived = 0;
  bytesSent = 0;
  bytesReceived = 0;

  /** Adds the counters of a connection that is over. */
  add(stats: Partial<Totals>): void {
    this.framesSent += stats.framesSent ?? 0;
    this.framesReceived += stats.framesReceived ?? 0;
    this.bytesSent += stats.bytesSent ?? 0;
    this.bytesReceived += stats.bytesReceived ?? 0;
  }
}

/** Observes a server or a client. Returns a function that ends it. */
export function observe(
  target: Server<unknown> | Client,
  meter: Meter,
  guard: Guard,
  role: "client" | "server",
  gone: GoneConnections,
): () => void {
  const instruments = new Map<Instrument, Observable>();
  for (const name of Object.keys(OBSERVED) as Instrument[]) {
    // A client sends no broadcasts.
    if (name === "dropped" && role === "client") continue;
    instruments.set(name, create(meter, OBSERVED[name]));
  }
  const collect = (result: BatchObservableResult): void => {
    guard.run(() => {
      const tell: Tell = (instrument, value, attributes) => {
        result.observe(instruments.get(instrument)!, value, { [ATTRIBUTE.role]: role, ...attributes });
      };
      if ("broadcast" in target) tellServer(target, gone, tell);
      else tellClient(target, gone, tell);
    });
  };
  const observed = [...instruments.values()];
  meter.addBatchObservableCallback(collect, observed);
  return () => meter.removeBatchObservableCallback(collect, observed);
}

function create(meter: Meter, { description, instrument, name, unit }: MetricName): Observable {
  const options = { description, unit };
  if (instrument === "ObservableCounter") return meter.createObservableCounter(name, options);
  if (instrument === "ObservableGauge") return meter.createObservableGauge(name, options);
  return meter.createObservableUpDownCounter(name, options);
}

function tellServer(server: Server<unknown>, gone: GoneConnections, tell: Tell): void {
  const { broadcastsDropped, closing, connections, pendingHandshakes, suspended } = server.stats();
  tellConnections(tell, { open: connections - suspended, suspended, handshake: pendingHandshakes, closing });
  tell("dropped", broadcastsDropped);
  tellSessions(tell, server.clients.map((client) => client.stats()), gone);
}

function tellClient(client: Client, gone: GoneConnections, tell: Tell): void {
  const stats = client.stats();
  const { state } = stats;
  tellConnections(tell, {
    open: state === "connected" ? 1 : 0,
    suspended: state === "suspended" ? 1 : 0,
    handshake: state === "connecting" || state === "reconnecting" ? 1 : 0,
    closing: state === "closing" ? 1 : 0,
  });
  tell("queue", stats.queuedWhileDown, { [ATTRIBUTE.queue]: "down" });
  tellSessions(tell, stats.framesSent === undefined ? [] : [stats as SessionStats], gone);
}

function tellConnections(tell: Tell, states: Readonly<Record<string, number>>): void {
  for (const [state, count] of Object.entries(states)) {
    tell("connections", count, { [ATTRIBUTE.connectionState]: state });
  }
}

function tellSessions(tell: Tell, sessions: readonly SessionStats[], gone: GoneConnections): void {
  const sum = (name: Exclude<keyof SessionStats, keyof Totals> | keyof Totals): number =>
    sessions.reduce((all, stats) => all + stats[name], 0);
  tell("io", gone.bytesSent + sum("bytesSent"), { [ATTRIBUTE.direction]: "transmit" });
  tell("io", gone.bytesReceived + sum("bytesReceived"), { [ATTRIBUTE.direction]: "receive" });
  tell("frames", gone.framesSent + sum("framesSent"), { [ATTRIBUTE.direction]: "transmit" });
  tell("frames", gone.framesReceived + sum("framesReceived"), { [ATTRIBUTE.direction]: "receive" });
  tell("buffered", sum("bufferedBytes"));
  tell("queue", sum("queuedMessages"), { [ATTRIBUTE.queue]: "handlers" });
  tell("pending", sum("pendingRequests"));
  tell("running", sum("runningHandlers"));
  tell("streams", sum("openStreams"));
}
