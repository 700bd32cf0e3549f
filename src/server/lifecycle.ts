/**
 * Starts, closes and restarts a server. If these calls overlap, the last one counts.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { writeNote } from "../app/log.ts";
import type { Closing } from "../app/closing.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import { type Address, addressText, isLocal } from "../base/address.ts";
import type { Connection } from "../transport.ts";
import type { ListenerPlace, Place } from "./server_config.ts";
import { Acceptor, type ServerState } from "./acceptor.ts";
import { makeEncryption, spotsOf } from "./spots.ts";

/** Logs that other machines can connect without being asked who they are, and unencrypted. */
function warnIfOpen<P>({ log, transport }: ServerState<P>["core"], places: readonly ListenerPlace<P>[]): void {
  const open = places.filter((place) =>
    place.authenticate === undefined && place.tls === undefined && place.encryption === undefined &&
    typeof (place.transport ?? transport) === "string" && !isLocal(place.at)
  );
  if (open.length === 0) return;
  const where = open.map(({ at }) => addressText(at)).join(" and ");
  const text =
    `The server is open: any machine that reaches ${where} is let in, and anyone on the way can read the traffic`;
  writeNote(log, "warn", () => `${text}; set encryption or tls, and authenticate, or quiet to true if that is meant`);
}

/** A restart under way. */
interface Restart {
  readonly promise: Promise<void>;
  /** The step that the restart is at. */
  phase: "closing" | "starting";
  /** True if `close` was called after the last `restart`. */
  cancelled: boolean;
}

/** The lifecycle of one server: it has an acceptor while it runs. */
export class ServerLifecycle<P> {
  readonly #owner: ServerState<P>;
  readonly #closed = new ResettablePromise();
  #run: Acceptor<P> | undefined = undefined;
  /** The addresses that the server last listened at. */
  #addresses: readonly Address[] | undefined = undefined;
  #starting: Promise<void> | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  #restarting: Restart | undefined = undefined;

  /** @param owner The state that all acceptors share. */
  constructor(owner: ServerState<P>) {
    this.#owner = owner;
  }

  /** The current acceptor; `undefined` while the server does not run. */
  get run(): Acceptor<P> | undefined {
    return this.#run;
  }

  /** Resolves when the server is closed, but not in the middle of a restart; never rejects. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** See `Server.start`. */
  start(): Promise<void> {
    const restart = this.#restarting;
    if (restart?.phase === "closing" && !restart.cancelled) return restart.promise;
    if (this.#closing !== undefined) {
      return Promise.reject(
        new ConnectionError("closed", "Cannot start the server: it is being closed, await closed first"),
      );
    }
    return this.#starting ??= this.#start();
  }

  /** See `Server.restart`. */
  restart(how: Closing): Promise<void> {
    const under = this.#restarting;
    if (under === undefined || under.phase === "starting" && this.#closing !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const restart: Restart = { promise, phase: "closing", cancelled: false };
      this.#restarting = restart;
      resolve(this.#restart(restart, how));
      return promise;
    }
    under.cancelled = false;
    if (this.#closing !== undefined && how.drain <= 0) this.#run?.cut();
    return under.promise;
  }

  /** See `Server.close`. */
  close(how: Closing): Promise<void> {
    if (this.#restarting !== undefined) this.#restarting.cancelled = true;
    if (this.#closing === undefined && this.#starting === undefined) {
      this.#closed.release();
      return Promise.resolve();
    }
    if (this.#closing !== undefined && how.drain <= 0) this.#run?.cut();
    const end = this.#closing ??= this.#close(how);
    return this.#run?.awaited(end) ?? end;
  }

  /** See `Server.accept`. */
  accept(connection: Connection, place: Place<P>): void {
    const run = this.#run;
    if (run === undefined) {
      throw new ConnectionError("closed", "Cannot accept the connection: the server does not run, await start() first");
    }
    // A connection that waits for its turn waits inside the acceptor.
    void run.take(connection, place);
  }

  /** Starts listening, at the ports of `before` if the server has run before. */
  async #start(before?: readonly Address[]): Promise<void> {
    const { core, places, handedOver } = this.#owner;
    this.#closed.reset();
    let run: Acceptor<P>;
    try {
      const loop = core.loopOf(await core.sockets());
      // The options of encryption are checked here even if no listener has them.
      const { encryption } = handedOver.usual;
      if (places.length === 0 && encryption !== undefined) await makeEncryption(core, encryption);
      run = this.#run = await Acceptor.start(this.#owner, loop, await spotsOf(core, places, before));
    } catch (error) {
      this.#starting = undefined;
      if (this.#closing === undefined) this.#closed.release();
      throw error;
    }
    this.#addresses = run.addresses;
    if (!this.#owner.quiet) warnIfOpen(core, places);
    for (const address of run.addresses) {
      writeNote(core.log, "info", () => `Server listening on ${addressText(address)}`);
    }
    core.events.emit("listening", run.addresses);
  }

  async #close(how: Closing): Promise<void> {
    const { core } = this.#owner;
    await this.#starting?.catch(() => {});
    const run = this.#run;
    if (run !== undefined) {
      core.events.emit("closing");
      await run.close(how);
      await core.workers.close();
      this.#run = undefined;
      this.#starting = undefined;
    }
    // Reset the state first: whoever waits for the end may start the server again at once.
    this.#closing = undefined;
    const restart = this.#restarting;
    if (restart === undefined || restart.phase === "starting" || restart.cancelled) this.#closed.release();
    if (run === undefined) return;
    writeNote(core.log, "info", () => "Server closed");
    core.events.emit("close");
  }

  async #restart(restart: Restart, how: Closing): Promise<void> {
    try {
      await this.#starting?.catch(() => {});
      const before = this.#run?.addresses ?? this.#addresses;
      if (this.#starting !== undefined || this.#closing !== undefined) await (this.#closing ??= this.#close(how));
      if (restart.cancelled) {
        throw new ConnectionError("closed", "Cannot restart the server: it was closed meanwhile");
      }
      restart.phase = "starting";
      await (this.#starting ??= this.#start(before));
    } finally {
      if (this.#restarting === restart) this.#restarting = undefined;
    }
  }
}
