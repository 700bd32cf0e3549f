/**
 * Hands the messages of one connection to their handlers in the order they came. They wait in a bounded queue while enough
 * asynchronous handlers are running.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { isThenable } from "../message/json.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { bytes } from "../message/codecs.ts";
import { replied } from "../message/message.ts";
import type { Transport } from "../transport.ts";
import type { DecodedFrame } from "../wire/decoder.ts";
import { Flag } from "../wire/frame.ts";
import type { BatchBudget } from "./batch_budget.ts";
import { IncomingMessage, type MessageOrigin } from "./incoming_message.ts";
import type { Route, Routes } from "./routes.ts";

/** What a dispatcher needs of its connection. */
export interface DispatcherHost extends MessageOrigin {
  /** The second argument of handlers. */
  readonly peer: unknown;
  /** Whether requests are told apart, and errors understood: the native protocol. */
  readonly native: boolean;
  /** Whether so many bytes wait for the peer that its next request has to wait, too. */
  readonly congested: boolean;
  /** Offers a message that no route takes to the listeners. */
  unrouted(message: IncomingMessage): void;
  /** Answers with an error, where the peer understands one. */
  refuse(message: IncomingMessage, error: unknown): void;
  /** A handler or a codec failed. */
  failed(error: unknown, message: IncomingMessage): void;
}

/** What all dispatchers of a Server or a Client share. */
export interface DispatcherShared {
  /** Where turns end. */
  readonly transport: Transport;
  /** Which handler takes what. */
  readonly routes: Routes;
  /** How much is handed out before others have their turn. */
  readonly budget: BatchBudget;
  /** How many handlers may run, and how much may wait, in messages and bytes. */
  readonly limits: {
    readonly maxWorkers: number;
    readonly maxQueuedMessages: number;
    readonly maxQueuedBytes: number;
  };
}

/** Hands the messages of one connection to their handlers. */
export class Dispatcher {
  readonly #host: DispatcherHost;
  readonly #shared: DispatcherShared;
  #queue: IncomingMessage[] = [];
  /** Where the queue begins: taken messages are cut off now and then, not one by one. */
  #head = 0;
  #queuedBytes = 0;
  #running = 0;
  #closed = false;
  #pumping = false;
  /** Ordered routes at work. Both sets are made when they are needed. */
  #busy: Set<Route> | undefined = undefined;
  /** Native requests that are queued or in an asynchronous handler, by id. */
  #open: Map<number | string, IncomingMessage> | undefined = undefined;
  #onRoom: (() => void)[] = [];
  #onIdle: (() => void)[] = [];

  /**
   * @param host The connection.
   * @param shared What it shares with others.
   */
  constructor(host: DispatcherHost, shared: DispatcherShared) {
    this.#host = host;
    this.#shared = shared;
  }

  /** Whether as much waits as may. */
  get full(): boolean {
    const { maxQueuedBytes, maxQueuedMessages } = this.#shared.limits;
    return this.#waiting >= maxQueuedMessages || this.#queuedBytes >= maxQueuedBytes;
  }

  /** Messages that wait for a handler, and those in asynchronous ones. */
  get busy(): number {
    return this.#waiting + this.#running;
  }

  /**
   * Takes a message.
   *
   * @throws {ProtocolError} A native request has the id of one that is not answered yet.
   */
  accept(frame: DecodedFrame, receivedAt: number): void {
    const request = this.#host.native && (frame.flags & Flag.REQUEST) !== 0;
    if (request && this.#open?.get(frame.requestId)?.answered === false) {
      throw new ProtocolError("protocol-error", `The peer used the request id ${frame.requestId} twice`);
    }
    const route = this.#shared.routes.get(frame.code);
    const asks = this.#host.native ? request : route?.type.reply !== undefined;
    if (this.#waiting === 0 && this.#free(route, asks)) {
      this.#hand(this.#message(frame, route, receivedAt, asks));
      return;
    }
    const size = frame.end - frame.start;
    // A small payload would keep the whole chunk it came in alive while it waits.
    const kept = size * 4 < frame.buffer.buffer.byteLength ? frame.copy() : frame;
    this.#queuedBytes += kept.buffer.buffer.byteLength;
    const message = this.#message(kept, route, receivedAt, asks);
    if (request) this.#opened(message);
    this.#queue.push(message);
  }

  /** Settles when more may come, or when it is closed. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#onRoom.push(resolve));
  }

  /** Settles when nothing waits and no handler runs, or when it is closed. */
  idle(): Promise<void> {
    if (this.busy === 0 || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Forgets what waits. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#head = 0;
    this.#queuedBytes = 0;
    this.#wake();
  }

  get #waiting(): number {
    return this.#queue.length - this.#head;
  }

  /** Whether a message of this route may be handed out now; `asks`: whether an answer will be sent. */
  #free(route: Route | undefined, asks: boolean): boolean {
    if (asks && this.#host.congested) return false;
    return this.#running < this.#shared.limits.maxWorkers &&
      (route === undefined || !route.ordered || this.#busy?.has(route) !== true);
  }

  #message(frame: DecodedFrame, route: Route | undefined, receivedAt: number, asks: boolean): IncomingMessage {
    const type = route === undefined ? unknownType(frame.code) : route.type;
    return new IncomingMessage(type, route, frame, receivedAt, asks, this.#host);
  }

  /** Gives a message to its handler. */
  #hand(message: IncomingMessage): void {
    const { route } = message;
    const host = this.#host;
    if (route === undefined) {
      host.unrouted(message);
      // Nobody can answer it: not even a listener, as its type is not known.
      if (message.wantsReply) {
        host.refuse(message, Object.assign(new Error(`No route for code ${message.type.code}`), { code: "no-route" }));
      }
      this.#finished(message);
      return;
    }
    let result: unknown;
    let later: boolean;
    // It runs from the first: who closes the connection inside it waits for it.
    this.#running++;
    try {
      if (!route.raw) message.decode();
      result = route.handler(message as never, host.peer as never);
      later = isThenable(result);
    } catch (error) {
      this.#running--;
      this.#failed(message, error);
      this.#wakeIdle();
      return;
    }
    if (later) {
      if (route.ordered) (this.#busy ??= new Set()).add(route);
      if (host.native && message.wantsReply) this.#opened(message);
      // Whatever it is: settled once, later, and without throwing.
      Promise.resolve(result).then(
        (value) => {
          this.#settled(route);
          this.#answer(message, value);
          this.resume();
        },
        (error) => {
          this.#settled(route);
          this.#failed(message, error);
          this.resume();
        },
      );
      return;
    }
    this.#running--;
    this.#answer(message, result);
    this.#wakeIdle();
  }

  #answer(message: IncomingMessage, value: unknown): void {
    if (message.wantsReply && !message.answered && value !== replied) {
      if (message.type.reply === undefined) {
        this.#host.refuse(
          message,
          Object.assign(new Error(`"${message.type.name}" is not answered here`), { code: "no-reply-codec" }),
        );
      } else if (!this.#closed) {
        try {
          message.reply(value);
        } catch (error) {
          this.#failed(message, error);
          return;
        }
      }
    }
    this.#finished(message);
  }

  #failed(message: IncomingMessage, error: unknown): void {
    if (message.wantsReply && !message.answered) this.#host.refuse(message, error);
    this.#finished(message);
    this.#host.failed(error, message);
  }

  #opened(message: IncomingMessage): void {
    (this.#open ??= new Map()).set(message.frame.requestId, message);
  }

  #finished(message: IncomingMessage): void {
    const { requestId } = message.frame;
    if (this.#open?.get(requestId) === message) this.#open.delete(requestId);
  }

  #settled(route: Route): void {
    this.#running--;
    if (route.ordered) this.#busy?.delete(route);
  }

  /** Hands out what waited, as far as it may, a batch at a time. */
  resume(): void {
    if (this.#pumping) return;
    const { budget, transport } = this.#shared;
    budget.start(this.#waiting);
    while (this.#waiting > 0) {
      const { route, wantsReply } = this.#queue[this.#head];
      if (!this.#free(route, wantsReply)) break;
      const message = this.#queue[this.#head++];
      this.#queuedBytes -= message.frame.buffer.buffer.byteLength;
      if (this.#head === this.#queue.length) {
        this.#queue = [];
        this.#head = 0;
      } else if (this.#head === 1024) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
      this.#hand(message);
      if (!budget.spend()) continue;
      this.#pumping = true;
      transport.yield(() => {
        this.#pumping = false;
        this.resume();
      });
      break;
    }
    if (this.#onRoom.length > 0 && !this.full || this.busy === 0) this.#wake();
  }

  #wake(): void {
    if (this.#closed || !this.full) {
      const room = this.#onRoom;
      this.#onRoom = [];
      for (const resolve of room) resolve();
    }
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    if (this.#onIdle.length === 0 || !this.#closed && this.busy > 0) return;
    const idle = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of idle) resolve();
  }
}

function unknownType(code: number): AnyMessageType {
  return { code, name: `type-${code}`, description: "", payload: bytes as never, reply: undefined };
}
