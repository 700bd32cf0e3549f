/**
 * The directions of a stream as Web Streams. Both are made only when they are asked for.
 *
 * @module
 */

import { bytes, type Codec } from "../../message/codecs.ts";
import type { AnyStreamType } from "../../message/stream_type.ts";
import type { SessionStream, StreamReader, StreamWriter } from "../../session/streams.ts";
import { ItemReader, ItemWriter } from "./items.ts";

/** Any codec. */
export type AnyCodec = Codec<unknown, never>;

/** The largest items of a stream in both directions, in bytes. */
export interface ItemLimits {
  readonly received: number;
  readonly sent: number;
}

/** Nothing is read ahead: what a program has not asked for stays within the window. */
const NONE_AHEAD = { highWaterMark: 0 };

/** Returns the bytes that a stream receives, as a byte stream. `canceled` is called when the program cancels it. */
export function byteReadable(reader: StreamReader, canceled: Canceled = () => {}): ReadableStream<Uint8Array> {
  return readableOf<ReadableByteStreamController>(reader, canceled, {
    type: "bytes",
    next(controller): boolean {
      const view = controller.byobRequest?.view as Uint8Array | null | undefined;
      if (view !== null && view !== undefined) {
        const taken = reader.takeInto(view);
        if (taken > 0) controller.byobRequest!.respond(taken);
        return taken > 0;
      }
      const chunk = reader.take();
      if (chunk !== undefined) controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
      return chunk !== undefined;
    },
    closed: (controller) => controller.byobRequest?.respond(0),
  }) as ReadableStream<Uint8Array>;
}

/** Is called with the reason for which a program cancels a direction. */
type Canceled = (reason: unknown) => void;

/**
 * Returns the items that a stream receives. `canceled` is called when the program cancels it, and `failed` with the error
 * of an item that cannot be read.
 */
export function itemReadable(
  items: ItemReader,
  reader: StreamReader,
  canceled: Canceled,
  failed: (error: unknown) => void,
): ReadableStream {
  return readableOf<ReadableStreamDefaultController>(reader, canceled, {
    next(controller): boolean {
      try {
        return items.next((item) => controller.enqueue(item));
      } catch (error) {
        controller.error(error);
        failed(error);
        return true;
      }
    },
    waits: () => items.waiting,
  });
}

/** A way to read a direction. */
interface Source<Controller> {
  readonly type?: "bytes";
  /** Hands out what comes next. Returns false if nothing is there. */
  next(controller: Controller): boolean;
  /** Returns whether something that has arrived cannot be handed out yet. */
  waits?(): boolean;
  /** Called after the end. */
  closed?(controller: Controller): void;
}

function readableOf<Controller extends ReadableStreamDefaultController | ReadableByteStreamController>(
  reader: StreamReader,
  canceled: Canceled,
  { type, next, waits, closed }: Source<Controller>,
): ReadableStream {
  /** Set while the program waits for something to arrive. */
  let arrived: (() => void) | undefined;
  const fill = (controller: Controller): boolean => {
    if (next(controller)) return true;
    if (reader.state === "open" || waits?.() === true) return false;
    if (reader.state === "failed") controller.error(reader.error);
    else {
      controller.close();
      closed?.(controller);
    }
    return true;
  };
  const changed = (controller: Controller): void => {
    try {
      if (reader.state === "failed") controller.error(reader.error);
      else if (arrived === undefined || !fill(controller)) return;
    } catch (error) {
      // Closing fails while a BYOB reader of larger elements has received a part of one.
      controller.error(error);
    }
    arrived?.();
    arrived = undefined;
  };
  return new ReadableStream({
    type,
    start(controller: Controller): void {
      reader.onChange = () => changed(controller);
      if (reader.state === "failed") controller.error(reader.error);
    },
    pull(controller: Controller): Promise<void> | undefined {
      return fill(controller) ? undefined : new Promise((resolve) => arrived = resolve);
    },
    cancel(reason: unknown): void {
      reader.onChange = undefined;
      canceled(reason);
      reader.stop(reason);
    },
  } as UnderlyingDefaultSource, NONE_AHEAD);
}

/** A writable, and what is not visible of it from outside. */
export interface Writable {
  readonly stream: WritableStream;
  /** Resolves when everything that was written so far is in the outgoing buffer, or never will be. */
  drained(): Promise<void>;
}

/**
 * Returns the direction that a stream sends. `write` writes a chunk to it, as `StreamWriter.write` does; `abort` ends
 * the stream.
 *
 * The queue has room for one chunk: `pipeTo` reads nothing for a stream whose high-water mark is 0.
 */
export function writableOf(
  writer: StreamWriter,
  write: (chunk: unknown) => Promise<void> | undefined,
  abort: (reason: unknown) => void,
): Writable {
  let waiting = 0;
  let drain: PromiseWithResolvers<void> | undefined;
  const settle = (): void => {
    drain?.resolve();
    drain = undefined;
  };
  const written = (): void => {
    if (--waiting === 0) settle();
  };
  const stream = new WritableStream({
    start(controller): void {
      writer.onFailure = () => {
        // A stream that is being aborted has its error already. A second one would make `abort()` reject.
        if (!controller.signal.aborted) controller.error(writer.error);
        settle();
      };
      // `abort` below is called only after a pending write, which a peer that does not read may hold up for ever.
      controller.signal.addEventListener("abort", () => abort(controller.signal.reason));
      if (writer.state === "failed") controller.error(writer.error);
    },
    write(chunk): Promise<void> | undefined {
      let done: Promise<void> | undefined;
      try {
        done = write(chunk);
      } catch (error) {
        abort(error);
        throw error;
      }
      if (done !== undefined) return done.then(written);
      written();
      return undefined;
    },
    close: () => writer.end(),
    abort: (reason) => abort(reason),
  }, {
    highWaterMark: 1,
    // The only place that sees a chunk at the moment at which it is written.
    size: () => {
      waiting++;
      return 1;
    },
  });
  return {
    stream,
    drained(): Promise<void> {
      if (waiting === 0 || writer.state !== "open") return Promise.resolve();
      return (drain ??= Promise.withResolvers()).promise;
    },
  };
}

/** Both directions of a stream for a program. */
export class StreamEnds {
  readonly #stream: SessionStream;
  readonly #name: string;
  readonly #receives: AnyCodec | undefined;
  readonly #sends: AnyCodec | undefined;
  readonly #limits: ItemLimits;
  #readable: ReadableStream | undefined = undefined;
  #writable: Writable | undefined = undefined;
  /** The reasons for which the program canceled or aborted it. */
  #reasons: unknown[] | undefined = undefined;
  #items: ItemWriter | undefined = undefined;

  /**
   * @param receives The codec of what this side receives; `undefined` for nothing.
   * @param sends The codec of what this side sends; `undefined` for nothing.
   */
  constructor(
    stream: SessionStream,
    { name }: Pick<AnyStreamType, "name">,
    receives: AnyCodec | undefined,
    sends: AnyCodec | undefined,
    limits: ItemLimits,
  ) {
    this.#stream = stream;
    this.#name = name;
    this.#receives = receives;
    this.#sends = sends;
    this.#limits = limits;
  }

  get readable(): ReadableStream {
    if (this.#readable !== undefined) return this.#readable;
    const { reader } = this.#stream;
    const codec = this.#receives;
    if (codec === undefined || isBytes(codec)) {
      return this.#readable = byteReadable(reader, (reason) => this.#gaveUp(reason));
    }
    const items = new ItemReader(this.#name, reader, codec, this.#limits.received);
    return this.#readable = itemReadable(
      items,
      reader,
      (reason) => this.#gaveUp(reason),
      (error) => this.#stream.abort(error),
    );
  }

  get writable(): WritableStream {
    return this.#made.stream;
  }

  /** True once the program has asked for the writable. */
  get writes(): boolean {
    return this.#writable !== undefined;
  }

  /** Resolves when everything that was written is in the outgoing buffer, or never will be. */
  drained(): Promise<void> {
    return this.#writable?.drained() ?? Promise.resolve();
  }

  /** Writes bytes or an item. Returns what `StreamWriter.write` returns. Throws what the codec throws. */
  write(chunk: unknown): Promise<void> | undefined {
    const codec = this.#sends;
    if (codec === undefined) {
      throw new TypeError(`Cannot write to "${this.#name}": its type has nothing in this direction`);
    }
    const { writer } = this.#stream;
    if (isBytes(codec)) return writer.write(bytes.encode(chunk as Uint8Array) as Uint8Array);
    return (this.#items ??= new ItemWriter(this.#name, writer, codec, this.#limits.sent)).write(chunk);
  }

  /** Returns whether the program itself has canceled or aborted it for this reason. */
  protected isOwn(error: unknown): boolean {
    return this.#reasons?.includes(error) ?? false;
  }

  /** Keeps a reason, unless it is that of the peer: a pipe hands an error of one side on to the other. */
  #gaveUp(reason: unknown): void {
    const { over, reader, writer } = this.#stream;
    if (!over && reason !== reader.error && reason !== writer.error) (this.#reasons ??= []).push(reason);
  }

  get #made(): Writable {
    return this.#writable ??= writableOf(
      this.#stream.writer,
      (chunk) => this.write(chunk),
      (reason) => {
        this.#gaveUp(reason);
        this.#stream.abort(reason);
      },
    );
  }
}

function isBytes(codec: AnyCodec): boolean {
  return codec as unknown === bytes;
}
