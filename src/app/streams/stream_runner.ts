/**
 * Calls the handlers of the streams that a peer opens, and sends what they return.
 *
 * @module
 */

import { checkData, checkPayload } from "../../base/codec_results.ts";
import type { TimerWheel } from "../../base/timer_wheel.ts";
import { Deadline, deadlineExceeded } from "../deadline.ts";
import { answerError, TOO_MANY_STREAMS } from "../../session/error_reply.ts";
import { empty } from "../../message/codecs.ts";
import { declares } from "../../message/declared_errors.ts";
import type { Session } from "../../session/session.ts";
import type { AcceptedStream } from "../../session/streams.ts";
import type { HandlerRunnerOwner } from "../handler_runner.ts";
import type { HandlerLoad } from "../handler_load.ts";
import type { Routes, StreamRoute } from "../routes.ts";
import { type StreamWatch, watchStream } from "./stream_watch.ts";
import { AcceptedEnds } from "./incoming_stream.ts";

/** The connection whose streams are handled. */
export interface StreamRunnerHost {
  /** The second argument of handlers. */
  readonly handle: unknown;
  readonly owner: { error(error: unknown): void };
}

/** What all stream runners of a Server or a Client share. */
export interface StreamRunnerShared extends Omit<StreamWatch, "handle"> {
  readonly routes: Routes;
  readonly wheel: TimerWheel;
  readonly inside: { dispatcher: HandlerRunnerOwner | undefined; waits: boolean };
  /** On a client, the running handlers of all its connections, closed ones included. */
  readonly load: HandlerLoad | undefined;
  readonly limits: { readonly maxStreams: number };
}

/** Runs the handlers of the streams of one connection. */
export class StreamRunner {
  /** The number of handlers that are running. */
  running = 0;
  /** The number of those that wait for the end of their own connection. */
  excused = 0;
  readonly #host: StreamRunnerHost;
  readonly #session: Session;
  readonly #shared: StreamRunnerShared;
  readonly #owner: HandlerRunnerOwner;

  constructor(host: StreamRunnerHost, session: Session, shared: StreamRunnerShared, owner: HandlerRunnerOwner) {
    this.#host = host;
    this.#session = session;
    this.#shared = shared;
    this.#owner = owner;
  }

  /** Hands a stream to its handler. */
  opened(stream: AcceptedStream): void {
    const { limits: { maxStreams }, load, routes } = this.#shared;
    const route = routes.stream(stream.code);
    if (route === undefined) return this.#refuse(stream, answerError("no-route", `No route for code ${stream.code}`));
    if (load !== undefined && load.streams >= maxStreams) {
      return this.#refuse(stream, TOO_MANY_STREAMS);
    }
    const { compress, head: codec, name } = route.type;
    stream.compress = compress;
    let ends: AcceptedEnds;
    try {
      ends = new AcceptedEnds(stream, route.type, checkData(name, codec.decode(stream.head)), this.#session);
    } catch (error) {
      this.#refuse(stream, error);
      this.#host.owner.error(error);
      return;
    }
    const time = stream.meta?.deadline;
    if (time !== undefined) {
      const owner = { expired: () => this.#expired(stream, ends) };
      ends.deadline = new Deadline(ends, time, this.#shared.clock, owner);
      this.#shared.wheel.add(ends.deadline, time);
    }
    void this.#run(route, stream, ends);
  }

  /** Called when the opener waits no longer. */
  #expired(stream: AcceptedStream, ends: AcceptedEnds): void {
    if (stream.over) return;
    const error = deadlineExceeded(`Cannot answer "${ends.type.name}"`);
    try {
      stream.refuse(error);
    } catch (failure) {
      this.#host.owner.error(failure);
    }
    ends.stop(error);
  }

  #refuse(stream: AcceptedStream, error: unknown): void {
    try {
      stream.refuse(error);
    } finally {
      stream.settled();
    }
  }

  /** Answers with the error of a handler, and reports it, unless the stream itself was the cause or its type declares it. */
  #failed(stream: AcceptedStream, ends: AcceptedEnds, error: unknown): void {
    const caused = ends.stopped(error);
    const answer = !stream.over && declares(ends.type, error);
    try {
      if (caused) stream.abort(error);
      else stream.refuse(error);
    } catch (failure) {
      this.#host.owner.error(failure);
    }
    if (!caused && !answer) this.#host.owner.error(error);
  }

  async #run(route: StreamRoute, stream: AcceptedStream, ends: AcceptedEnds): Promise<void> {
    const { clock, inside, load, observers, wheel } = this.#shared;
    const watch = { clock, observers, handle: this.#host.handle };
    const ended = watchStream(watch, "peer", route.type, stream.requestId);
    let outcome: "answered" | "failed" = "failed";
    this.running++;
    if (load !== undefined) load.streams++;
    let excused = false;
    try {
      inside.dispatcher = this.#owner;
      inside.waits = false;
      let result: unknown;
      try {
        result = route.handler(ends as never, this.#host.handle as never);
      } finally {
        inside.dispatcher = undefined;
      }
      excused = inside.waits;
      if (excused) {
        this.excused++;
        this.#owner.wakeIdle();
      }
      const value = await sent(ends, stream, await result);
      await ends.drained();
      const { name, result: codec } = route.type;
      if (!stream.over) {
        stream.answer(name, checkPayload(name, codec.encode(value as never)));
        outcome = "answered";
      }
    } catch (error) {
      this.#failed(stream, ends, error);
    } finally {
      this.running--;
      ends.finished = true;
      if (excused) this.excused--;
      if (load !== undefined) load.streams--;
      if (ends.deadline !== undefined) wheel.remove(ends.deadline);
      stream.settled();
      ended?.(outcome);
      this.#owner.wakeIdle();
    }
  }
}

/** Sends what a handler returned, if it is a stream or an iterable of items. Returns the value of the answer. */
async function sent(ends: AcceptedEnds, stream: AcceptedStream, result: unknown): Promise<unknown> {
  if (result instanceof ReadableStream) {
    // An error of the source is one of the handler. If the pipe aborted the stream, nobody would be told of it here.
    await result.pipeTo(ends.writable, { preventAbort: true });
    return undefined;
  }
  const iterate = iteratorOf(result);
  if (iterate === undefined) return result;
  const { writer } = stream;
  const iterator = iterate();
  let iterating = true;
  const stop = (): void => {
    if (!iterating) return;
    iterating = false;
    // It is asked for nothing more, so its errors concern nobody.
    new Promise((resolve) => resolve(iterator.return?.())).catch(() => {});
  };
  // Lets a generator that waits for its source go on to its `finally`.
  writer.onFailure = () => {
    ends.stop(writer.error);
    stop();
  };
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) iterating = false;
      // A generator that ended because nobody reads any more has no value.
      if (done === true && (value !== undefined || writer.state !== "failed")) return value;
      if (writer.state !== "open") {
        // Leaving a feed is no failure of it.
        if (!stream.over && ends.type.result as unknown === empty) return undefined;
        throw writer.error;
      }
      // It may have asked for it just now. Two writers would mix their bytes.
      if (ends.writes) {
        throw new TypeError(`Cannot send "${ends.type.name}": its handler uses writable and returns an iterable, too`);
      }
      const written = ends.write(value);
      if (written !== undefined) await written;
    }
  } finally {
    stop();
  }
}

/** Returns the function that begins to iterate; `undefined` if the value is no asynchronous iterable. */
function iteratorOf(value: unknown): (() => AsyncIterator<unknown>) | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const make = (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator];
  return typeof make === "function" ? () => make.call(value) : undefined;
}
