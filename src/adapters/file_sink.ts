/**
 * A `FileSink` of Bun, such as the standard input of a child of `Bun.spawn`, as the direction of a connection that is
 * written.
 *
 * @module
 */

import type { ByteSink } from "./byte_ends.ts";
import { systemError } from "./system_errors.ts";

/** The part of a `FileSink` that is used. */
export interface FileSinkLike {
  write(chunk: Uint8Array): unknown;
  flush(): unknown;
  end(): unknown;
}

/** A file or a pipe that is written. */
export class FileSinkEnd implements ByteSink {
  readonly #sink: FileSinkLike & { unref?(): void };

  constructor(sink: FileSinkLike) {
    this.#sink = sink;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const written = this.#sink.write(bytes);
    // Bun returns a number, or a promise of one. Once the reader is gone, it returns true.
    if (typeof written === "boolean") throw systemError("EPIPE");
    await Promise.all([written, this.#sink.flush()]);
  }

  async finish(): Promise<void> {
    await this.#sink.end();
  }

  release(reason: Error | undefined): void {
    if (reason !== undefined) this.finish().catch(() => {});
  }

  unref(): void {
    this.#sink.unref?.();
  }
}
