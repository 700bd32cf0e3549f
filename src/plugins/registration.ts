/**
 * One plugin that is registered: its state, and everything that it has added.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { PluginError } from "../errors.ts";
import { type AnyClient, ClientViews } from "./client_view.ts";
import type { PluginEndpoint, PluginPeer } from "./endpoint.ts";
import { Guard, type GuardLimits } from "./guard.ts";
import type { AnyPlugin } from "./plugin.ts";
import type { PluginInfo } from "./plugin_info.ts";
import { grantedBy, type Permission } from "./permissions.ts";
import type { PluginHooks } from "./plugin_host.ts";
import { TypeViews } from "./type_view.ts";

/** The hooks of a plugin, whatever it may do. */
export type AnyHooks = Partial<PluginHooks<"messages:modify">>;

/** What a plugin adds its sends to: outgoing hooks of the plugin itself leave them alone. */
const SENT_BY: unique symbol = Symbol("sent by");

/** The registry that a registration belongs to. */
export interface RegistrationOwner {
  readonly endpoint: PluginEndpoint;
  readonly clock: Clock;
  /** Called when the plugin is switched off. */
  switchedOff(registration: Registration): void;
  /** Called when the plugin removes itself. */
  remove(registration: Registration): void;
}

/** What `register` was told about a plugin. */
export interface RegistrationTerms extends GuardLimits {
  readonly whenOff: "pass" | "refuse";
}

/** A registered plugin. */
export class Registration {
  readonly plugin: AnyPlugin;
  /** The plugin as the program has it. */
  readonly given: object;
  readonly owner: RegistrationOwner;
  readonly terms: RegistrationTerms;
  readonly granted: ReadonlySet<Permission>;
  readonly guard: Guard;
  readonly clients: ClientViews;
  readonly types: TypeViews = new TypeViews();
  hooks: AnyHooks = {};
  state: "starting" | "on" | "stopping" | "off" | "removed" = "starting";
  /** Why it is off. */
  reason: string | undefined = undefined;
  /** Settles when it is set up, or has failed to be. Never rejects. */
  readonly started: Promise<void>;
  readonly #start: () => void;
  /** Removes what the plugin has added: routes, listeners, timers. */
  readonly #undo = new Set<() => void>();
  /** Removes its attachments. */
  readonly #attached = new Set<() => void>();
  #closers: (() => unknown)[] = [];
  /** Settles when the functions of `onClose` have been called. */
  #closing: Promise<void> | undefined = undefined;
  #sending = 0;

  constructor(plugin: AnyPlugin, given: object, terms: RegistrationTerms, owner: RegistrationOwner) {
    this.plugin = plugin;
    this.given = given;
    this.terms = terms;
    this.owner = owner;
    this.granted = grantedBy(plugin.permissions);
    this.guard = new Guard(
      plugin.name,
      owner.clock,
      terms,
      (error) => this.switchOff(`${error.message}, once too often`),
    );
    this.clients = new ClientViews(this);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.started = promise;
    this.#start = resolve;
  }

  get name(): string {
    return this.plugin.name;
  }

  /** What the program is told about it. */
  get info(): PluginInfo {
    const { name, version, permissions } = this.plugin;
    const { failures } = this.guard;
    return Object.freeze({ name, version, permissions, state: this.state, reason: this.reason, failures });
  }

  /** True while its hooks are called. */
  get on(): boolean {
    return this.state === "on";
  }

  /** True while the plugin itself is sending. */
  get sending(): boolean {
    return this.#sending > 0;
  }

  /** Throws if the plugin may not use its capabilities any more. */
  check(what: string): void {
    if (this.state === "off") {
      throw new PluginError(
        "plugin-off",
        `Plugin "${this.name}" cannot use ${what}: it is switched off: ${this.reason}`,
      );
    }
    if (this.state === "removed") {
      throw new PluginError("plugin-removed", `Plugin "${this.name}" cannot use ${what}: it was removed`);
    }
  }

  /** Throws if the plugin may not add anything any more: what is added at its end would stay. */
  checkAdding(what: string): void {
    this.check(what);
    if (this.state === "stopping") this.#refuse(what);
  }

  /** Calls a function that sends, with options that say who does. */
  sends<Result>(options: object | undefined, send: (options: object | undefined) => Result): Result {
    this.#sending++;
    try {
      return send(this.hooks.outgoing === undefined ? options : { ...options, [SENT_BY]: this });
    } finally {
      this.#sending--;
    }
  }

  /** Returns whether the plugin itself sends with these options. */
  sent(options: object): boolean {
    return (options as { readonly [SENT_BY]?: Registration })[SENT_BY] === this;
  }

  /** Returns what the plugin sees of a second argument of handlers. */
  client(handle: unknown): AnyClient {
    return this.clients.of(this.owner.endpoint.peerOf(handle)!);
  }

  /** Reports a failure. */
  report(error: unknown, peer?: PluginPeer, message?: unknown): void {
    this.owner.endpoint.failed(error, peer, message);
  }

  /**
   * Calls a function of the plugin for which nobody waits. Never throws, and returns a promise if the function goes on; it
   * does not reject.
   */
  watch(what: string, call: () => unknown, failed: (error: unknown) => void): Promise<void> | undefined {
    try {
      const result = this.guard.call(what, call);
      return result instanceof Promise ? result.then(() => {}, failed) : undefined;
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  /** Keeps what removes something that the plugin has added. Returns a function that removes it now. */
  added(remove: () => void): () => void {
    return this.#keep(this.#undo, remove);
  }

  /** The same for an attachment. */
  attached(remove: () => void): () => void {
    return this.#keep(this.#attached, remove);
  }

  /** Keeps a function for the end of the plugin. Throws if the others are being called already. */
  onClose(fn: () => unknown): void {
    this.check("host.onClose()");
    if (this.#closing !== undefined) this.#refuse("host.onClose()");
    this.#closers.push(fn);
  }

  /** Called when the plugin is set up. */
  ready(hooks: AnyHooks): void {
    this.hooks = hooks;
    this.state = "on";
    this.#start();
  }

  /** Switches the plugin off: nothing of it is called any more. */
  switchOff(reason: string): void {
    if (this.state !== "on") return;
    this.state = "off";
    this.reason = reason;
    this.#clear(this.#undo);
    if (this.terms.whenOff === "pass") this.#clear(this.#attached);
    this.owner.switchedOff(this);
    void this.#close();
  }

  /** Removes everything, lets running hooks end and calls `onClose`. Never rejects. */
  async remove(): Promise<void> {
    if (this.state !== "off") this.state = "stopping";
    this.#start();
    this.#clear(this.#undo);
    this.#clear(this.#attached);
    await this.guard.idle();
    await this.#close();
    this.state = "removed";
  }

  #clear(undo: Set<() => void>): void {
    // What was added last goes first.
    for (const remove of [...undo].reverse()) remove();
    undo.clear();
  }

  /** Calls the functions of `onClose`, once. */
  #close(): Promise<void> {
    if (this.#closing === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closing = promise;
      void this.#callClosers().then(resolve);
    }
    return this.#closing;
  }

  async #callClosers(): Promise<void> {
    for (const close of this.#closers.reverse()) {
      await this.watch("onClose()", close, (error) => this.report(error));
    }
  }

  #refuse(what: string): never {
    throw new PluginError("plugin-removed", `Plugin "${this.name}" cannot use ${what}: it is being removed`);
  }

  #keep(set: Set<() => void>, remove: () => void): () => void {
    const undo = keep(set, remove);
    // A listener that hears of what is added may end the plugin.
    if (this.state !== "starting" && this.state !== "on") undo();
    return undo;
  }
}

/** Keeps a function in a set until it was called. */
function keep(set: Set<() => void>, remove: () => void): () => void {
  const once = (): void => {
    if (set.delete(once)) remove();
  };
  set.add(once);
  return once;
}
