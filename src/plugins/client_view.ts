/**
 * Clients as one plugin sees them, with just what its permissions name.
 *
 * @module
 */

import type { CloseReason } from "../link/close_reason.ts";
import { copyOf } from "./copies.ts";
import type { PluginPeer } from "./endpoint.ts";
import type { PluginClient } from "./plugin_host.ts";
import { fenced, type Permission } from "./permissions.ts";

/** A client as plugins see it, whatever they may do. */
export type AnyClient = PluginClient<never>;

/** What a plugin does through the views of clients. */
export interface ClientViewsOwner {
  readonly name: string;
  readonly granted: ReadonlySet<Permission>;
  /** Throws if the plugin is gone. */
  check(what: string): void;
  /** Calls a function that sends, with the options that say so. */
  sends<Result>(options: object | undefined, send: (options: object | undefined) => Result): Result;
}

/** The permission that each member of a client needs. */
const MEMBERS: Readonly<Record<string, Permission>> = {
  address: "clients:read",
  protocol: "clients:read",
  security: "clients:read",
  publicKey: "clients:read",
  principal: "clients:read",
  connectedAt: "clients:read",
  connected: "clients:read",
  leaving: "clients:read",
  tags: "clients:read",
  hasTag: "clients:read",
  getTag: "clients:read",
  addTag: "clients:tag",
  setTag: "clients:tag",
  removeTag: "clients:tag",
  close: "clients:close",
  send: "messages:send",
  request: "messages:send",
};

/** The views of one plugin. A client has one as long as it lives, so that a plugin can compare them. */
export class ClientViews {
  readonly #owner: ClientViewsOwner;
  readonly #views = new WeakMap<PluginPeer, AnyClient>();
  readonly #peers = new WeakMap<object, PluginPeer>();

  constructor(owner: ClientViewsOwner) {
    this.#owner = owner;
  }

  /** Returns what the plugin sees of a peer. */
  of(peer: PluginPeer): AnyClient {
    let view = this.#views.get(peer);
    if (view === undefined) {
      const members = this.#members(peer) as Readonly<Record<string, unknown>>;
      const { name, granted } = this.#owner;
      const allowed = Object.keys(members).filter((key) => key === "id" || granted.has(MEMBERS[key]));
      const own = Object.defineProperties(
        {},
        Object.fromEntries(allowed.map((key) => [key, Object.getOwnPropertyDescriptor(members, key)!])),
      );
      view = fenced(name, "client", own, MEMBERS) as AnyClient;
      this.#views.set(peer, view);
      this.#peers.set(view, peer);
    }
    return view;
  }

  /**
   * Returns the peers of views that the plugin has given back.
   *
   * @throws {TypeError} One of them is no view.
   */
  peersOf(name: string, views: Iterable<object>): PluginPeer[] {
    return [...views].map((view) => {
      const peer = this.#peers.get(view);
      if (peer !== undefined) return peer;
      throw new TypeError(`${name} must have clients that the plugin "${this.#owner.name}" was given`);
    });
  }

  #members(peer: PluginPeer): object {
    const check = (what: string): void => this.#owner.check(what);
    const sends = this.#owner.sends.bind(this.#owner);
    const reading = <Name extends keyof PluginPeer>(name: Name): PluginPeer[Name] => {
      check(`client.${name}`);
      return peer[name];
    };
    return {
      id: peer.id,
      get address() {
        return copyOf("the address of a client", reading("address"));
      },
      get protocol() {
        return reading("protocol");
      },
      get security() {
        return reading("security");
      },
      get publicKey() {
        return reading("publicKey");
      },
      get principal() {
        return copyOf("the principal of a client", reading("principal"));
      },
      get connectedAt() {
        return reading("connectedAt");
      },
      get connected() {
        return reading("connected");
      },
      get leaving() {
        return reading("leaving");
      },
      get tags() {
        const tags = [...reading("tags")];
        return new Map(tags.map(([name, value]) => [name, copyOf(`the tag "${name}"`, value)]));
      },
      hasTag(name: string): boolean {
        check("client.hasTag()");
        return peer.hasTag(name);
      },
      getTag(name: string): unknown {
        check("client.getTag()");
        return copyOf(`the tag "${name}"`, peer.getTag(name));
      },
      addTag(name: string, value?: unknown): boolean {
        check("client.addTag()");
        return peer.addTag(name, value);
      },
      setTag(name: string, value?: unknown): void {
        check("client.setTag()");
        peer.setTag(name, value);
      },
      removeTag(name: string): boolean {
        check("client.removeTag()");
        return peer.removeTag(name);
      },
      close(reason?: CloseReason, options?: object): Promise<void> {
        check("client.close()");
        return peer.close(reason, options);
      },
      send(type: unknown, payload: unknown, options?: object): boolean {
        check("client.send()");
        return sends(options, (given) => peer.send(type as never, payload as never, given));
      },
      request(type: unknown, payload: unknown, options?: object): Promise<unknown> {
        check("client.request()");
        return sends(options, (given) => peer.request(type as never, payload as never, given));
      },
    };
  }
}
