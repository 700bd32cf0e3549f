/**
 * A cable between pages and a server, which can be cut or can lose everything.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP proxy in front of a port of this machine. */
export class Cable implements AsyncDisposable {
  /** How many connections it has carried. */
  carried = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #dead = false;

  private constructor(server: Server, target: number) {
    this.#server = server;
    server.on("connection", (socket) => this.#carry(socket, target));
  }

  /** Listens in front of a port. */
  static async listen(target: number): Promise<Cable> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Cable(server, target);
  }

  /** The port. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Loses everything from now on, the ends of connections, too. Later connections work. */
  lose(): void {
    for (const socket of this.#sockets) socket.removeAllListeners("data").removeAllListeners("close").resume();
  }

  /** Refuses all connections from now on, or no more. */
  set dead(dead: boolean) {
    this.#dead = dead;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(page: Socket, target: number): void {
    page.on("error", () => {});
    if (this.#dead) {
      page.destroy();
      return;
    }
    this.carried++;
    const server = connect({ port: target, host: "127.0.0.1", noDelay: true });
    for (const [from, to] of [[page, server], [server, page]]) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("data", (chunk) => {
        if (to.write(chunk)) return;
        from.pause();
        to.once("drain", () => from.resume());
      });
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
