/**
 * The connected clients, with an index of their tags. Finding the clients with a tag costs as much as there are such
 * clients, however many others are connected.
 *
 * @module
 */

import type { Events } from "../app/events.ts";
import type { Peer } from "../app/peer.ts";
import type { ConnectedClient, TagKeeper } from "./connected_client.ts";
import type { ServerEvents } from "./server_events.ts";

/**
 * Selects the clients that carry a tag.
 *
 * @category Server
 */
export interface TagSelector {
  /** The name of the tag. */
  readonly tag: string;
  /** The value of the tag, compared like the keys of a `Map`. @default any value, or none */
  readonly value?: unknown;
}

/** The clients that carry one tag. Clients without a value are only in `all`: no selector can ask for that value. */
interface Group<P> {
  readonly all: Set<ConnectedClient<P>>;
  readonly byValue: Map<unknown, Set<ConnectedClient<P>>>;
}

const NOBODY: readonly never[] = [];

/** The clients of one acceptor, with an index of their tags. */
export class Groups<P> implements TagKeeper<P> {
  readonly #peers = new Map<ConnectedClient<P>, Peer>();
  /** The clients that are leaving and are no longer found by their tags. */
  readonly #leaving = new Set<ConnectedClient<P>>();
  readonly #groups = new Map<string, Group<P>>();
  readonly #events: Events<ServerEvents<P>>;

  /** @param events Emits `tag` for each change of a connected client's tags. */
  constructor(events: Events<ServerEvents<P>>) {
    this.#events = events;
  }

  /** All clients, including those that are leaving, oldest first. */
  get clients(): ReadonlyMap<ConnectedClient<P>, Peer> {
    return this.#peers;
  }

  /** The number of names and values in the index; 0 while no client carries a tag. */
  get size(): number {
    let size = this.#groups.size;
    for (const { byValue } of this.#groups.values()) size += byValue.size;
    return size;
  }

  /** Adds a client that is connected now. */
  join(client: ConnectedClient<P>, peer: Peer): void {
    this.#peers.set(client, peer);
  }

  /** Removes a client. */
  leave(client: ConnectedClient<P>): void {
    this.untag(client);
    this.#peers.delete(client);
    this.#leaving.delete(client);
  }

  /** Takes a client out of the index. The client is still connected, but nothing can be sent to it any more. */
  untag(client: ConnectedClient<P>): void {
    if (!this.#indexes(client)) return;
    this.#leaving.add(client);
    for (const [name, value] of client.tags) this.#remove(client, name, value);
  }

  /** Returns the clients that carry a tag, in the order in which they got it. */
  byTag(name: string, value?: unknown): Iterable<ConnectedClient<P>> {
    const group = this.#groups.get(name);
    return (value === undefined ? group?.all : group?.byValue.get(value)) ?? NOBODY;
  }

  added(client: ConnectedClient<P>, name: string, value: unknown): void {
    if (!this.#indexes(client)) return;
    let group = this.#groups.get(name);
    if (group === undefined) this.#groups.set(name, group = { all: new Set(), byValue: new Map() });
    group.all.add(client);
    put(group, client, value);
    if (this.#events.has("tag")) this.#events.emit("tag", client, { action: "added", name, value });
  }

  updated(client: ConnectedClient<P>, name: string, value: unknown, before: unknown): void {
    if (!this.#indexes(client)) return;
    const group = this.#groups.get(name)!;
    take(group, client, before);
    put(group, client, value);
    if (this.#events.has("tag")) this.#events.emit("tag", client, { action: "updated", name, value });
  }

  removed(client: ConnectedClient<P>, name: string, value: unknown): void {
    if (!this.#indexes(client)) return;
    this.#remove(client, name, value);
    if (this.#events.has("tag")) this.#events.emit("tag", client, { action: "removed", name, value });
  }

  cleared(client: ConnectedClient<P>, tags: ReadonlyMap<string, unknown>): void {
    if (!this.#indexes(client)) return;
    for (const [name, value] of tags) this.#remove(client, name, value);
    if (this.#events.has("tag")) this.#events.emit("tag", client, { action: "cleared" });
  }

  /** Returns whether a client can be found by its tags. */
  #indexes(client: ConnectedClient<P>): boolean {
    return this.#peers.has(client) && !this.#leaving.has(client);
  }

  /**
   * Takes a tag out of the index. Empty groups are deleted. Otherwise the index would keep the names and values of all
   * clients that ever connected.
   */
  #remove(client: ConnectedClient<P>, name: string, value: unknown): void {
    const group = this.#groups.get(name)!;
    group.all.delete(client);
    take(group, client, value);
    if (group.all.size === 0) this.#groups.delete(name);
  }
}

/** Adds a client to those with a value. */
function put<P>({ byValue }: Group<P>, client: ConnectedClient<P>, value: unknown): void {
  if (value === undefined) return;
  const same = byValue.get(value);
  if (same === undefined) byValue.set(value, new Set([client]));
  else same.add(client);
}

/** Removes a client from those with a value. */
function take<P>({ byValue }: Group<P>, client: ConnectedClient<P>, value: unknown): void {
  const same = value === undefined ? undefined : byValue.get(value);
  if (same?.delete(client) && same.size === 0) byValue.delete(value);
}
