/**
 * Messages of JSON through a dispatcher that has no connection: with middleware, and with plugins.
 *
 * @module
 */

import { definePlugin, json, messageType } from "../../mod.ts";
import { Dispatcher, type DispatcherShared } from "../../src/app/dispatcher.ts";
import type { HandlerHost } from "../../src/app/handler_runner.ts";
import type { AnyType, Middleware } from "../../src/app/middleware.ts";
import { Routes } from "../../src/app/routes.ts";
import type { EventLoop } from "../../src/base/clock.ts";
import { BatchBudget } from "../../src/link/batch_budget.ts";
import { runtimeLoop } from "../../src/adapters/runtime_loop.ts";
import { TimerWheel } from "../../src/base/timer_wheel.ts";
import type { PluginEndpoint, PluginPeer } from "../../src/plugins/endpoint.ts";
import { Registry } from "../../src/plugins/registry.ts";
import type { Session } from "../../src/session/session.ts";
import { DecodedFrame } from "../../src/wire/decoded_frame.ts";
import type { MicroCase } from "./cases.ts";

const CALLS = 1000;
const MOVE = messageType(200, "move", json<{ id: number; name: string; at: number[] }>());
const OTHER = messageType(201, "other");
const CONTENT = new TextEncoder().encode(JSON.stringify({ id: 17, name: "player", at: [1.5, 2.25, -3] }));

/** Makes the cases. The baseline decodes the payload and calls the handler. */
export async function dispatchCases(): Promise<{ readonly cases: readonly MicroCase[]; close(): void }> {
  const loop = runtimeLoop();
  const wheel = new TimerWheel(loop.clock);
  const pass: Middleware<never, never> = (_message, _peer, next) => next();
  const variants: readonly [name: string, set: (routes: Routes) => unknown][] = [
    ["0 middlewares", () => {}],
    ["1 middleware of another type", (routes) => routes.use([OTHER], pass, false)],
    ["1 middleware", (routes) => routes.use(undefined, pass, true)],
    ["5 middlewares", (routes) => [1, 2, 3, 4, 5].map(() => routes.use(undefined, pass, true))],
    ["1 plugin, registered", (routes) => plugged(loop, routes, "messages:read", false, OTHER)],
    ["1 plugin that looks on", (routes) => plugged(loop, routes, "messages:read", false)],
    ["1 plugin that reads a copy", (routes) => plugged(loop, routes, "messages:read", true)],
    ["1 plugin that modifies", (routes) => plugged(loop, routes, "messages:modify", true)],
  ];
  const cases: MicroCase[] = [];
  const frame = new DecodedFrame(MOVE.code, 0, 0, undefined, CONTENT, 0, CONTENT.length);
  for (const [name, set] of variants) {
    const routes = new Routes();
    let handled = 0;
    routes.add(MOVE, ({ data }) => void (handled += data.id));
    await set(routes);
    const dispatcher = new Dispatcher(HOST, sharedOf(loop, wheel, routes));
    dispatcher.serve(SESSION);
    cases.push(caseOf(name, false, () => {
      for (let i = 0; i < CALLS; i++) dispatcher.accept(frame, 0);
      return handled;
    }));
  }
  const routes = new Routes();
  let gathered = 0;
  routes.add(MOVE, (messages) => {
    for (const { data } of messages) gathered += data.id;
  }, { batch: true });
  const gather: HandlerHost["gather"] = (message) => dispatcher.gather(message);
  const dispatcher: Dispatcher = new Dispatcher({ ...HOST, gather }, sharedOf(loop, wheel, routes));
  dispatcher.serve(SESSION);
  cases.push(caseOf("batch", false, () => {
    for (let i = 0; i < CALLS; i++) dispatcher.accept(frame, 0);
    dispatcher.handOut();
    return gathered;
  }));
  let handled = 0;
  const handler = ({ id }: { id: number }): void => void (handled += id);
  cases.unshift(caseOf("handler alone", true, () => {
    for (let i = 0; i < CALLS; i++) handler(MOVE.payload.decode(CONTENT));
    return handled;
  }));
  return { cases, close: () => wheel.close() };
}

function caseOf(name: string, baseline: boolean, run: () => unknown): MicroCase {
  return { name: `dispatch JSON, ${name}`, group: "dispatch JSON", baseline, calls: CALLS, run };
}

/** Attaches a plugin before the handler of a type. */
async function plugged(
  { clock }: EventLoop,
  routes: Routes,
  permission: "messages:read" | "messages:modify",
  reads: boolean,
  type: AnyType = MOVE,
): Promise<void> {
  const core = {
    transport: "none",
    loopOf: () => ({ clock }),
    events: { emit: () => true },
    use: (types: readonly AnyType[], middleware: Middleware<never, never>) => routes.use(types, middleware, false),
  };
  const registry = new Registry({
    side: "server",
    core: core as unknown as PluginEndpoint["core"],
    events: [],
    peerOf: () => PEER,
    peers: () => [PEER],
    broadcast: () => ({ sent: 0, dropped: 0 }),
    stats: () => ({}),
    failed: (error) => {
      throw error;
    },
  });
  let seen = 0;
  const plugin = definePlugin({
    name: "bench",
    version: "1.0.0",
    permissions: [permission],
    setup: () => ({
      before: (message): undefined => {
        if (reads) seen += (message.data as { id: number }).id;
        else seen += message.receivedAt;
      },
    }),
  });
  await registry.register(plugin, undefined, {});
  registry.attach(type, plugin, "before");
}

const PEER = { id: 1 } as PluginPeer;

const HOST = {
  handle: PEER,
  owner: {
    error(error: unknown): void {
      throw error;
    },
  },
} as unknown as HandlerHost;

/** As much of a session as a message needs that is not answered. */
const SESSION = {
  native: true,
  over: false,
  flowControlled: false,
  deferredFlags: 0,
  streams: undefined,
  taken(): void {},
  sender: { writer: { full: false, affords: () => true } },
} as unknown as Session;

function sharedOf(loop: EventLoop, wheel: TimerWheel, routes: Routes): DispatcherShared {
  return {
    clock: loop.clock,
    budget: new BatchBudget(loop),
    rate: undefined,
    limits: {
      maxConcurrentHandlers: 100,
      maxQueuedMessages: 1024,
      maxQueuedBytes: 4 * 1024 * 1024,
      maxHandlerBytes: 16 * 1024 * 1024,
      maxStreams: 128,
    },
    routes,
    wheel,
    observers: {},
    inside: { dispatcher: undefined, waits: false },
    load: undefined,
  } as unknown as DispatcherShared;
}
