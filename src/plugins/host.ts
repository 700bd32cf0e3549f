/**
 * Makes the host of a plugin: an object with just the capabilities that its permissions name.
 *
 * @module
 */

import { IncomingMessage } from "../app/incoming_message.ts";
import type { NewRoute } from "../app/routes.ts";
import { checkFunction, whole } from "../base/checks.ts";
import { TRAFFIC_EVENTS } from "../session/observers.ts";
import type { MessageType } from "../message/message_type.ts";
import { declares } from "../message/declared_errors.ts";
import { failureOf, saidBy } from "./copies.ts";
import type { PluginPeer } from "./endpoint.ts";
import { ShownMessage } from "./message_view.ts";
import { denied, fenced, isPermission, type Permission } from "./permissions.ts";
import type { PluginEvent, PluginHost } from "./plugin_host.ts";
import type { Registration } from "./registration.ts";

/** The permission that each member of a host needs. */
const MEMBERS: Readonly<Record<string, string>> = {
  broadcast: "messages:send",
  clients: "clients:read",
  route: "routes:add",
  stats: "stats",
  on: "events:<name>",
};

/** A host, whatever the plugin may do. */
export type AnyHost = PluginHost<never>;

/** Makes the host of a registration. */
export function hostOf(registration: Registration): AnyHost {
  const { granted, name } = registration;
  const members = { ...capabilities(registration), ...listening(registration), ...timers(registration) };
  const listens = [...granted].some((permission) => permission.startsWith("events:"));
  const has = (key: string): boolean =>
    !Object.hasOwn(MEMBERS, key) || (key === "on" ? listens : granted.has(MEMBERS[key] as Permission));
  const own = Object.fromEntries(Object.entries(members).filter(([key]) => has(key)));
  return fenced(name, "host", own, MEMBERS) as unknown as AnyHost;
}

function capabilities(registration: Registration): object {
  const { clients, guard, name, owner: { endpoint } } = registration;
  return {
    broadcast(type: unknown, payload: unknown, options: BroadcastViews = {}): object {
      registration.check("host.broadcast()");
      const { to, except, ...rest } = options;
      const given = {
        ...rest,
        ...(to === undefined ? {} : { to: clients.peersOf("to", to) }),
        ...(except === undefined ? {} : { except: clients.peersOf("except", except) }),
      };
      return registration.sends(given, (sent) => endpoint.broadcast(type as never, payload as never, sent));
    },
    clients(): readonly unknown[] {
      registration.check("host.clients()");
      return Object.freeze(endpoint.peers().map((peer) => clients.of(peer)));
    },
    stats(): unknown {
      registration.check("host.stats()");
      return saidBy(endpoint.stats());
    },
    route(
      type: MessageType<unknown>,
      handler: (message: unknown, client: unknown) => unknown,
      options: object = {},
    ): () => void {
      registration.checkAdding("host.route()");
      checkFunction(`host.route()'s handler`, handler);
      if ("batch" in options) throw new TypeError("Cannot add a route: host.route() has no option batch");
      const handle = (message: IncomingMessage, peer: unknown): unknown => {
        const shown = new ShownMessage(message, type as never, true, registration.types);
        const wanted = (error: unknown): boolean => declares(message.type, error);
        const what = `the handler of "${message.type.name}"`;
        return shown.during(() => guard.call(what, () => handler(shown.view, registration.client(peer)), wanted));
      };
      const route = { type, handler: handle, options } as unknown as NewRoute<never>;
      return registration.added(endpoint.core.routeAll([route]));
    },
    name,
    version: registration.plugin.version,
    side: endpoint.side,
  };
}

interface BroadcastViews {
  readonly to?: Iterable<object>;
  readonly except?: Iterable<object>;
}

function listening(registration: Registration): object {
  const { granted, name: plugin, owner: { endpoint } } = registration;
  return {
    on(name: string, listener: (event: PluginEvent<never>) => unknown): () => void {
      registration.checkAdding("host.on()");
      checkFunction("host.on()'s listener", listener);
      const permission = `events:${name}`;
      if (!isPermission(permission) || !granted.has(permission)) {
        throw denied(plugin, `host.on("${name}")`, permission);
      }
      const what = `the listener of "${name}"`;
      const traffic = (TRAFFIC_EVENTS as readonly string[]).includes(name);
      const call = (...args: unknown[]): void => {
        // What it sends itself would call it again, and again.
        if (traffic && registration.sending) return;
        const { event, shown } = eventOf(registration, name, args);
        const failed = (error: unknown): void => {
          // Nobody is told of it by the event whose listener has failed.
          if (name === "error") endpoint.core.faults.error("error", error);
          else registration.report(error);
        };
        const running = registration.watch(what, () => listener(event), failed);
        if (running === undefined) shown?.done();
        else void running.then(() => shown?.done());
      };
      return registration.added(endpoint.core.events.observe(name, call));
    },
  };
}

/** Returns an event as plugins see it, and what shows its message. */
function eventOf(
  { clients, granted, types, owner: { endpoint } }: Registration,
  name: string,
  args: unknown[],
): { readonly event: PluginEvent<never>; readonly shown: ShownMessage | undefined } {
  const reads = granted.has("messages:read");
  let peer: PluginPeer | undefined;
  let message: IncomingMessage | undefined;
  let info: unknown = {};
  args.forEach((arg, i) => {
    const found = endpoint.peerOf(arg);
    if (found !== undefined) peer = found;
    else if (arg instanceof IncomingMessage) message = arg;
    else if (arg !== undefined && !(name === "error" && i === 0)) info = Array.isArray(arg) ? { [name]: arg } : arg;
  });
  const shown = message === undefined || !reads ? undefined : new ShownMessage(message, undefined, false, types);
  const event = Object.freeze({
    name: name as PluginEvent<never>["name"],
    client: peer === undefined ? undefined : clients.of(peer),
    info: saidBy(info) as PluginEvent<never>["info"],
    message: shown?.view,
    error: name === "error" ? failureOf(args[0]) : undefined,
  });
  return { event, shown };
}

function timers(registration: Registration): object {
  const { owner: { clock } } = registration;
  const start = (what: string, fn: () => unknown, ms: number, again: boolean): () => void => {
    registration.checkAdding(`host.${what}()`);
    checkFunction(`host.${what}()'s function`, fn);
    whole(0)(`host.${what}()'s time`, ms);
    let timer: unknown;
    let stopped = false;
    const stop = registration.added(() => {
      stopped = true;
      clock.clearTimeout(timer);
    });
    const set = (): void => {
      if (stopped) return;
      timer = clock.setTimeout(fire, ms);
      clock.unref(timer);
    };
    const fire = (): void => {
      if (!again) stop();
      const running = registration.watch(`host.${what}()`, fn, (error) => registration.report(error));
      if (!again) return;
      if (running === undefined) set();
      else void running.then(set);
    };
    set();
    return stop;
  };
  return {
    setTimeout: (fn: () => unknown, ms: number): () => void => start("setTimeout", fn, ms, false),
    setInterval: (fn: () => unknown, ms: number): () => void => start("setInterval", fn, ms, true),
    onClose(fn: () => unknown): void {
      registration.onClose(checkFunction("host.onClose()'s function", fn));
    },
    remove(): void {
      registration.check("host.remove()");
      registration.owner.remove(registration);
    },
  };
}
