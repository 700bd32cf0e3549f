/**
 * Commands to a browser: JSON over a WebSocket, as the DevTools protocol and WebDriver BiDi have them.
 *
 * @module
 */

import { limited } from "../processes/waiting.ts";

/** How long a command may take, in milliseconds. */
const LIMIT = 180_000;

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: unknown;
  readonly message?: string;
}

/** A connection for commands. */
export class Commands {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  readonly #closed: Promise<void>;
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)));
    this.#closed = new Promise((resolve) => {
      socket.onclose = () => {
        for (const { reject } of this.#waiting.values()) reject(new Error("The browser closed the connection"));
        this.#waiting.clear();
        resolve();
      };
    });
  }

  /** Connects. */
  static async connect(url: string): Promise<Commands> {
    const socket = new WebSocket(url);
    const commands = new Commands(socket);
    await limited(
      `Connecting to ${url}`,
      LIMIT,
      new Promise<void>((resolve, reject) => {
        socket.onopen = () => resolve();
        socket.onerror = () => reject(new Error(`Cannot connect to ${url}`));
      }),
    );
    return commands;
  }

  /**
   * Gives a command.
   *
   * @param more What is sent beside the method and its parameters.
   * @throws {Error} The browser could not do it.
   */
  async send(method: string, params: object = {}, more: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#id;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params, ...more }));
    return await limited(method, LIMIT, answer) as Record<string, unknown>;
  }

  /** Closes the connection. Resolves when it is closed. */
  async close(): Promise<void> {
    this.#socket.close();
    await this.#closed;
  }

  #take({ error, id, message, result }: Answer): void {
    const waiting = this.#waiting.get(id ?? 0);
    // Without an id it is an event.
    if (waiting === undefined) return;
    this.#waiting.delete(id!);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(new Error(`The browser could not do it: ${message ?? JSON.stringify(error)}`));
  }
}
