/**
 * The plugins of one Server or Client: registers them in order, connects their hooks, and removes them.
 *
 * @module
 */

import type { AnyType } from "../app/middleware.ts";
import { writeNote } from "../app/log.ts";
import {
  checkFunction,
  oneOf,
  optional,
  type OptionTable,
  readOptions,
  show,
  whole,
  wholeOrInfinity,
} from "../base/checks.ts";
import type { Clock } from "../base/clock.ts";
import { isThenable } from "../base/thenable.ts";
import { PermissionError, PluginError } from "../errors.ts";
import { isStreamType } from "../message/stream_type.ts";
import type { PluginEndpoint } from "./endpoint.ts";
import { HookMiddleware } from "./hooks.ts";
import { hostOf } from "./host.ts";
import { type AnyPlugin, checkPlugin } from "./plugin.ts";
import type { AttachMode } from "./plugin_host.ts";
import type { PluginChange, PluginInfo, RegisterOptions } from "./plugin_info.ts";
import { denied, permissionsOf } from "./permissions.ts";
import { type AnyHooks, Registration, type RegistrationOwner } from "./registration.ts";

/**
 * The types that a plugin is attached to.
 *
 * @category Plugins
 */
export type AttachTypes = AnyType | readonly AnyType[] | "all";

const OPTIONS = {
  permissions: optional(permissionsOf),
  hookTimeout: optional(whole(1), 5_000),
  setupTimeout: optional(whole(1), 30_000),
  maxFailures: optional(wholeOrInfinity(1), 10),
  whenOff: optional(oneOf("pass", "refuse"), "pass"),
} satisfies OptionTable<RegisterOptions>;

const MODES = ["before", "after", "instead", "outgoing"] as const;

/** The plugins of one Server or Client. */
export class Registry implements RegistrationOwner {
  readonly endpoint: PluginEndpoint;
  readonly clock: Clock;
  readonly #plugins = new Map<string, Registration>();
  /** Removals under way. */
  readonly #removing = new Map<Registration, Promise<void>>();
  /** What those depend on that were refused for it, to tell a circle from a plugin that is missing. */
  readonly #refused = new Map<string, readonly string[]>();

  constructor(endpoint: PluginEndpoint) {
    this.endpoint = endpoint;
    const { transport } = endpoint.core;
    this.clock = endpoint.core.loopOf(typeof transport === "object" ? transport : undefined).clock;
  }

  /** The plugins, in the order in which they were registered. */
  get list(): readonly PluginInfo[] {
    return [...this.#plugins.values()].map(({ info }) => info);
  }

  /** Registers a plugin; see `Server.register`. */
  async register(given: object, options: unknown, how: RegisterOptions): Promise<void> {
    const plugin = checkPlugin("a plugin", given);
    const { name } = plugin;
    const terms = readOptions("register()'s options", how, OPTIONS);
    if (this.#plugins.has(name)) {
      throw new PluginError(
        "plugin-exists",
        `Cannot register the plugin "${name}": one of that name is, unregister it first`,
      );
    }
    this.#checkPermissions(plugin, terms.permissions);
    const checked = this.#checkOptions(plugin, options);
    const needed = this.#needed(plugin);
    const registration = new Registration(plugin, given, terms, this);
    this.#plugins.set(name, registration);
    this.#refused.delete(name);
    try {
      for (const one of needed) await one.started;
      this.#checkNeeded(registration, needed);
      const set = (): unknown => plugin.setup(hostOf(registration) as never, checked as never);
      const hooks = await registration.guard.call("setup()", set, undefined, terms.setupTimeout);
      if (registration.state !== "starting") {
        throw new PluginError("plugin-removed", `Cannot register the plugin "${name}": it was removed in its setup()`);
      }
      registration.ready(hooksOf(name, hooks));
    } catch (error) {
      await this.#remove(registration);
      throw error;
    }
    this.#tell(registration, "on");
  }

  /** Removes a plugin; see `Server.unregister`. */
  async unregister(name: string): Promise<boolean> {
    const registration = this.#plugins.get(name);
    if (registration === undefined) return false;
    const under = this.#removing.get(registration);
    if (under !== undefined) return under.then(() => true);
    const users = [...this.#plugins.values()].filter((other) =>
      other.plugin.dependsOn.includes(name) && !this.#removing.has(other)
    );
    if (users.length > 0) {
      const names = users.map((one) => `"${one.name}"`).join(", ");
      throw new PluginError(
        "plugin-needed",
        `Cannot unregister the plugin "${name}": ${names} needs it, unregister that first`,
      );
    }
    await this.#remove(registration);
    return true;
  }

  /** Connects a hook of a plugin to types of messages; see `Server.attach`. */
  attach(types: AttachTypes, plugin: object | string, mode: AttachMode): () => void {
    const registration = this.#find(plugin);
    const { name, granted, hooks } = registration;
    const hook = oneOf(...MODES)("attach()'s mode", mode);
    const permission = hook === "instead" ? "messages:modify" : "messages:read";
    if (!granted.has(permission)) throw denied(name, `the hook ${hook}`, permission);
    if (hooks[hook] === undefined) {
      throw new PluginError(
        "no-hook",
        `Cannot attach the plugin "${name}": its setup() has returned no hook "${hook}"`,
      );
    }
    const listed = types === "all"
      ? undefined
      : Array.isArray(types)
      ? types as readonly AnyType[]
      : [types as AnyType];
    if (hook === "instead" && (listed === undefined || listed.some((type) => isStreamType(Object(type))))) {
      throw new TypeError(
        `Cannot attach the plugin "${name}" instead of ${
          listed === undefined ? "all" : "streams"
        }: name types of messages`,
      );
    }
    const { core } = this.endpoint;
    const middleware = new HookMiddleware(registration, checkTypes(listed));
    if (hook === "outgoing") {
      const outgoing = middleware.outgoing();
      return registration.attached(
        listed === undefined ? core.useOutgoing(outgoing, undefined) : core.useOutgoing(listed, outgoing),
      );
    }
    const incoming = middleware[hook]();
    return registration.attached(
      listed === undefined ? core.use(incoming, undefined) : core.use(listed, incoming, true),
    );
  }

  /** Removes all plugins, the last one first. Never rejects. */
  async close(): Promise<void> {
    for (const registration of [...this.#plugins.values()].reverse()) await this.#remove(registration);
  }

  switchedOff(registration: Registration): void {
    this.#tell(registration, "off");
    for (const other of this.#plugins.values()) {
      if (other.plugin.dependsOn.includes(registration.name)) {
        other.switchOff(`the plugin "${registration.name}", which it depends on, is off`);
      }
    }
  }

  remove(registration: Registration): void {
    this.unregister(registration.name).catch((error) => registration.report(error));
  }

  #remove(registration: Registration): Promise<void> {
    let under = this.#removing.get(registration);
    if (under === undefined) {
      const started = registration.state !== "starting";
      under = registration.remove().then(() => {
        this.#plugins.delete(registration.name);
        this.#removing.delete(registration);
        if (started) this.#tell(registration, "removed");
      });
      this.#removing.set(registration, under);
    }
    return under;
  }

  #find(plugin: object | string): Registration {
    const name = typeof plugin === "string" ? plugin : (plugin as AnyPlugin | null)?.name;
    const found = this.#plugins.get(name!);
    if (found?.on === true && (typeof plugin === "string" || found.given === plugin)) return found;
    const why = found === undefined
      ? "it is not registered"
      : found.on
      ? "another one of that name is registered"
      : `it is ${found.state}`;
    const called = typeof name === "string" ? `"${name}"` : show(plugin);
    throw new PluginError("plugin-missing", `Cannot attach the plugin ${called}: ${why}`);
  }

  #checkPermissions({ name, permissions }: AnyPlugin, most: RegisterOptions["permissions"]): void {
    const { events, side } = this.endpoint;
    const strange = permissions.filter((permission) => {
      const event = /^events:(.*)$/.exec(permission)?.[1];
      return event === undefined ? side === "client" && permission === "clients:tag" : !events.includes(event);
    });
    if (strange.length > 0) {
      const text = `Cannot register the plugin "${name}" with a ${side}: it has no ${strange.join(", ")}`;
      throw new PermissionError("permission-denied", text, name, strange);
    }
    if (most === undefined) return;
    const missing = permissions.filter((permission) => !most.includes(permission));
    if (missing.length === 0) return;
    const text = `Cannot register the plugin "${name}": it wants ${missing.map((one) => `"${one}"`).join(", ")}, ` +
      "add that to the permissions that register() grants, or leave them out to grant all that it wants";
    throw new PermissionError("permission-denied", text, name, missing);
  }

  #checkOptions(plugin: AnyPlugin, options: unknown): unknown {
    const check = plugin.options as ((given: unknown) => unknown) | undefined;
    return check === undefined ? options : check(options);
  }

  /** Returns the plugins that one depends on. */
  #needed({ name, dependsOn }: AnyPlugin): Registration[] {
    const missing = dependsOn.filter((other) => !this.#plugins.has(other) || other === name);
    if (missing.length === 0) return dependsOn.map((other) => this.#plugins.get(other)!);
    this.#refused.set(name, dependsOn);
    const circle = this.#circle(name, [name]);
    if (circle !== undefined) {
      const way = circle.map((one) => `"${one}"`).join(" needs ");
      throw new PluginError("dependency-circular", `Cannot register the plugin "${name}": ${way}`);
    }
    const names = missing.map((one) => `"${one}"`).join(", ");
    throw new PluginError(
      "dependency-missing",
      `Cannot register the plugin "${name}": it needs ${names}, register that first`,
    );
  }

  #checkNeeded({ name }: Registration, needed: readonly Registration[]): void {
    const lost = needed.find(({ on }) => !on);
    if (lost === undefined) return;
    const text = `Cannot register the plugin "${name}": it needs "${lost.name}", which is ${lost.state}`;
    throw new PluginError("dependency-missing", text);
  }

  /** Returns the way from a refused plugin back to itself. */
  #circle(name: string, way: readonly string[]): string[] | undefined {
    for (const next of this.#refused.get(name) ?? []) {
      if (next === way[0]) return [...way, next];
      if (way.includes(next)) continue;
      const found = this.#circle(next, [...way, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #tell({ plugin: { name, version }, reason }: Registration, state: PluginChange["state"]): void {
    const change: PluginChange = Object.freeze({ name, version, state, reason: state === "off" ? reason : undefined });
    const { core } = this.endpoint;
    const heard = core.events.emit("plugin", change);
    if (state === "off" && !heard) writeNote(core.log, "warn", () => `Plugin "${name}" is switched off: ${reason}`);
  }
}

/** Checks what `setup` has returned. */
function hooksOf(plugin: string, hooks: unknown): AnyHooks {
  if (hooks === undefined) return {};
  const table = Object.fromEntries(
    MODES.map((mode) => [mode, optional((name: string, value: unknown) => checkFunction(name, value))]),
  );
  return Object.freeze(
    readOptions(`what setup() of the plugin "${plugin}" returns`, hooks as object, table),
  ) as AnyHooks;
}

/** Checks types to which a plugin is attached. */
function checkTypes(types: readonly AnyType[] | undefined): readonly AnyType[] | undefined {
  for (const type of types ?? []) {
    if (Number.isInteger(type?.code) && !isThenable(type)) continue;
    throw new TypeError(
      `Cannot attach: types must be a type, a list of types or "all", and one of them is ${show(type)}`,
    );
  }
  return types;
}
