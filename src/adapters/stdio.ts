/**
 * The standard input and output of a process as a {@linkcode Connection}: those of a child process, or this program's
 * own.
 *
 * @module
 */

import { builtinModule } from "../base/builtin_module.ts";
import { show } from "../base/checks.ts";
import { ConfigError } from "../errors.ts";
import type { Connection } from "../transport.ts";
import { type ByteSink, type ByteSource, EndsChannel } from "./byte_ends.ts";
import { Duplex } from "./duplex.ts";
import { FileSinkEnd, type FileSinkLike } from "./file_sink.ts";
import { type NodeReadable, NodeSink, NodeSource, type NodeWritable } from "./node_ends.ts";
import type { StreamsInfo } from "./streams.ts";
import { type WebReadable, WebSink, WebSource, type WebWritable } from "./web_ends.ts";

/**
 * A child process with pipes: that of `spawn` of `node:child_process`, of `Deno.Command` or of `Bun.spawn`. Or anything
 * else with two streams of Node, or two Web Streams.
 *
 * @category Transport
 */
export interface StdioProcess {
  /** The stream that the process reads: a `Writable` of Node, a `WritableStream`, or a `FileSink` of Bun. */
  readonly stdin: object | number | null | undefined;
  /** The stream that the process writes: a `Readable` of Node, or a `ReadableStream`. */
  readonly stdout: object | number | null | undefined;
}

/**
 * Creates a connection from standard streams. With a process, it leads to that process. Without one, it leads from this
 * program to whoever has started it: it reads the program's standard input, and writes its standard output.
 *
 * Nothing else may write to the standard output of the child: a single `console.log` in it would break the stream. Use
 * `console.error`, or a logger that writes to a file. Pipes cannot say that a connection was aborted: the other end reads
 * the end of the stream. On Deno a program cannot close its standard output, so the other end reads the end of what such
 * a child sends when the child exits; and there `unref` of the program's own streams does nothing.
 *
 * @param process The child process, whose standard input and output are pipes. @default this program's own streams
 * @param info The addresses to show. @default { path: "stdio" } for both
 * @returns The connection.
 * @throws {TypeError} The process has no such streams, or a Web Stream is locked.
 * @throws {ConfigError} `unsupported`: this program has no standard streams, as in a browser.
 *
 * @example A child that sends back what it reads
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { spawn } from "node:child_process";
 * import { fromStdio } from "@veltix/core";
 *
 * const connection = fromStdio(spawn("cat"));
 * await connection.write(new TextEncoder().encode("hello"));
 * assertEquals(new TextDecoder().decode(await connection.read() ?? undefined), "hello");
 * await connection.closeWrite();
 * assertEquals(await connection.read(), null);
 * ```
 *
 * @category Transport
 */
export function fromStdio(process?: StdioProcess, info?: StreamsInfo): Connection {
  const [source, sink] = process === undefined ? ownEnds() : [sourceOf(process.stdout), sinkOf(process.stdin)];
  const { local = { path: "stdio" }, remote = { path: "stdio" } } = info ?? {};
  // A child that runs holds the program, too.
  const unref = has(process, "unref") ? (): void => (process as { unref?(): void }).unref!() : undefined;
  return new Duplex(new EndsChannel(source, sink, { local, remote }, unref));
}

type Members = Readonly<Record<string, unknown>>;

function has(value: unknown, ...names: readonly string[]): boolean {
  return typeof value === "object" && value !== null &&
    names.every((name) => typeof (value as Members)[name] === "function");
}

function sourceOf(stdout: unknown): ByteSource {
  if (has(stdout, "getReader")) return new WebSource(unlocked("stdout", stdout as WebReadable));
  if (has(stdout, "on", "pause", "resume", "destroy")) return new NodeSource(stdout as NodeReadable);
  throw noPipe("stdout", stdout);
}

function sinkOf(stdin: unknown): ByteSink {
  if (has(stdin, "getWriter")) return new WebSink(unlocked("stdin", stdin as WebWritable));
  if (has(stdin, "on", "write", "end", "destroy")) return new NodeSink(stdin as NodeWritable);
  if (has(stdin, "write", "flush", "end")) return new FileSinkEnd(stdin as FileSinkLike);
  throw noPipe("stdin", stdin);
}

function unlocked<Stream extends { readonly locked: boolean }>(name: string, stream: Stream): Stream {
  if (stream.locked) throw new TypeError(`Cannot use "${name}" of the process: it is locked`);
  return stream;
}

function noPipe(name: string, value: unknown): TypeError {
  return new TypeError(`Cannot use "${name}" of the process: it must be a stream, not ${show(value)}; make it a pipe`);
}

/** The globals that have standard streams, each on some runtimes. */
interface Runtime {
  readonly process?: { readonly platform: string; readonly stdin: NodeReadable; readonly stdout: NodeWritable };
  readonly Deno?: {
    readonly stdin: { readonly readable: WebReadable };
    readonly stdout: { readonly writable: WebWritable };
  };
  readonly Bun?: { readonly stdout: { writer(): FileSinkLike } };
}

/** Returns the standard streams of this program. */
function ownEnds(): [ByteSource, ByteSink] {
  const { process, Deno: deno, Bun: bun } = globalThis as unknown as Runtime;
  // The streams of Node that Deno has block the program while they wait.
  if (deno !== undefined) return [new WebSource(deno.stdin.readable), new WebSink(deno.stdout.writable)];
  if (process === undefined) {
    throw new ConfigError("unsupported", "fromStdio() finds no standard streams here: give a process, or streams");
  }
  const sink = bun === undefined ? new NodeSink(process.stdout) : new FileSinkEnd(bun.stdout.writer());
  return [new NodeSource(process.stdin), new OwnSink(sink, process.platform === "win32" ? "\\\\.\\nul" : "/dev/null")];
}

/** The file descriptor of the standard output. */
const STDOUT = 1;

/** The standard output of this program. Its streams do not close the pipe when they end, so this does. */
class OwnSink implements ByteSink {
  readonly #sink: ByteSink;
  readonly #nowhere: string;
  #closed = false;

  /**
   * @param sink The stream.
   * @param nowhere The path of a file that takes anything. It takes the place of the pipe.
   */
  constructor(sink: ByteSink, nowhere: string) {
    this.#sink = sink;
    this.#nowhere = nowhere;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#sink.write(bytes);
  }

  async finish(): Promise<void> {
    await this.#sink.finish();
    this.#close();
  }

  release(reason: Error | undefined): void {
    this.#sink.release(reason);
    this.#close();
  }

  unref(): void {
    this.#sink.unref();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const fs = builtinModule("node:fs") as {
      closeSync(fd: number): void;
      openSync(path: string, flags: string): number;
    };
    try {
      fs.closeSync(STDOUT);
    } catch {
      return; // The program has closed it already.
    }
    // The lowest free number is given to the next file that is opened. It must be none of the program's.
    fs.openSync(this.#nowhere, "w");
  }
}
