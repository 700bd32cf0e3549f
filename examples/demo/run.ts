/**
 * One run of the demonstration: a server, a client on each runtime, and the steps they take together.
 *
 * @module
 */

import type { Runtime } from "../../scripts/runtimes.ts";
import { type ClientSetup, type Report, type Status, type Step, STEPS } from "./channel.ts";
import { Child } from "./child.ts";

/** How long the others may take to say what is wrong with them once one has failed, in milliseconds. */
const AFTERMATH = 300;
/** A client that reports nothing for so long is stuck, in milliseconds: it should do so ten times a second. */
const SILENCE = 15_000;
/** The rate shown is that of so many milliseconds. */
const RATE_WINDOW = 1_000;

/** What ends a run early; the reasons are in its problems. */
const FAILED = Symbol("failed");

/** The file that is streamed. */
export interface Input {
  /** As the user gave it. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  readonly lines: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** A client as the leader sees it. */
export interface Row {
  readonly number: number;
  /** Its runtime's name, made unique. */
  readonly name: string;
  readonly runtime: Runtime;
  state: "skipped" | "waiting" | "busy" | "through" | "failed";
  status: Status | undefined;
  /** Messages a second, sent and received: the latest, and in the end all. */
  rate: number;
}

/** Leads the processes through the steps. */
export class Run {
  /** The clients, those that are skipped too. */
  readonly rows: readonly Row[];
  /** What is streamed. */
  readonly input: Input;
  /** What the server speaks with the clients: `"native"`. */
  protocol = "";
  /** The step they are at; one past the last in the end, -1 before the first. */
  step = -1;
  /** When it began, by `performance.now()`. */
  readonly began: number = performance.now();
  readonly #children = new Map<Row | "server", Child>();
  readonly #problems = new Map<Row | "server" | "run", string>();
  readonly #failure = Promise.withResolvers<never>();
  readonly #through = new Map<Row, () => void>();
  readonly #history = new Map<Row, { time: number; total: number }[]>();
  #closing = false;

  /** Makes it ready; {@linkcode go} starts it. */
  constructor(rows: readonly Row[], input: Input) {
    this.rows = rows;
    this.input = input;
    this.#failure.promise.catch(() => {});
  }

  /** What went wrong, each with its place. Where that is the server, the clients only lost it. */
  get problems(): string[] {
    const all = [...this.#problems];
    const server = all.filter(([who]) => who === "server");
    return (server.length > 0 ? server : all).map(([who, problem]) =>
      `${typeof who === "string" ? who : who.name}: ${problem}`
    );
  }

  /** The clients that take part. */
  get active(): Row[] {
    return this.rows.filter((row) => row.state !== "skipped");
  }

  /**
   * Goes through all steps.
   *
   * @param reached Called at the end of each.
   * @returns Settles when all is done and every process has ended by itself, or one has failed: see {@linkcode problems}.
   */
  async go(reached: (step: Step) => void): Promise<void> {
    const watching = setInterval(() => this.#watch(), SILENCE / 10);
    try {
      const port = await this.#orFail(new Promise<number>((resolve) => this.#startServer(resolve)));
      await this.#together((row) => this.#startClient(row, port));
      const start = performance.now();
      for (const step of STEPS) {
        this.step++;
        await this.#together((row) => this.#children.get(row)!.tell(step));
        reached(step);
      }
      this.step++;
      const seconds = (performance.now() - start) / 1_000;
      for (const row of this.active) row.rate = totalOf(row) / seconds;
      await this.#close();
    } catch (error) {
      if (error !== FAILED) throw error;
      await new Promise((resolve) => setTimeout(resolve, AFTERMATH));
    } finally {
      clearInterval(watching);
    }
  }

  /** Says that it took too long. */
  giveUp(problem: string): void {
    this.#fail("run", problem);
  }

  /** Ends every process at once. */
  kill(): void {
    this.#closing = true;
    for (const child of this.#children.values()) child.kill();
  }

  #startServer(listening: (port: number) => void): void {
    const runtime = { name: "deno", path: Deno.execPath() } as const;
    this.#start(
      "server",
      new Child(runtime, "server.ts", {}, (report) => {
        if (report.type === "listening") listening(report.port);
      }),
    );
  }

  #startClient(row: Row, port: number): void {
    const { path, size, sha256 } = this.input;
    const others = this.active.filter((other) => other !== row).map((other) => other.number);
    const setup: ClientSetup = { number: row.number, others, port, path, size, sha256 };
    const runtime = { name: row.runtime.name, path: row.runtime.path! };
    this.#start(row, new Child(runtime, "client.ts", setup, (report) => this.#hear(row, report)));
  }

  #start(who: Row | "server", child: Child): void {
    this.#children.set(who, child);
    void child.ended.then((problem) => {
      if (problem !== undefined || !this.#closing) this.#fail(who, problem ?? "it ended before its time");
    });
  }

  #hear(row: Row, report: Report): void {
    if (report.type === "status") {
      row.status = report.status;
      if (this.step === STEPS.length) return;
      const time = performance.now();
      const history = this.#history.get(row) ?? [];
      this.#history.set(row, [...history.filter((past) => past.time > time - RATE_WINDOW), {
        time,
        total: totalOf(row),
      }]);
      const [first] = this.#history.get(row)!;
      if (time > first.time) row.rate = (totalOf(row) - first.total) / (time - first.time) * 1_000;
      return;
    }
    if (report.type === "connected") this.protocol = report.protocol;
    if (row.state !== "failed") row.state = "through";
    this.#through.get(row)?.();
  }

  /** Begins something with every client; settles when all are through. */
  async #together(begin: (row: Row) => void): Promise<void> {
    const all = this.active.map((row) => new Promise<void>((resolve) => this.#through.set(row, resolve)));
    for (const row of this.active) {
      row.state = "busy";
      begin(row);
    }
    await this.#orFail(Promise.all(all));
  }

  async #close(): Promise<void> {
    this.#closing = true;
    const server = this.#children.get("server")!;
    const clients = [...this.#children.values()].filter((child) => child !== server);
    for (const child of clients) child.tell("close");
    await this.#orFail(Promise.all(clients.map((child) => child.ended)));
    server.tell("close");
    await this.#orFail(server.ended);
  }

  #orFail<Value>(work: Promise<Value>): Promise<Value> {
    return Promise.race([work, this.#failure.promise]);
  }

  #watch(): void {
    const now = performance.now();
    for (const [row, history] of this.#history) {
      if (!this.#closing && now - history.at(-1)!.time > SILENCE) {
        this.#fail(row, `it has reported nothing for ${SILENCE / 1_000} s`);
      }
    }
  }

  #fail(who: Row | "server" | "run", problem: string): void {
    if (this.#problems.has(who)) return;
    this.#problems.set(who, problem);
    if (typeof who !== "string") who.state = "failed";
    this.#failure.reject(FAILED);
  }
}

function totalOf({ status }: Row): number {
  return status === undefined ? 0 : status.sent + status.burstSent + status.received;
}
