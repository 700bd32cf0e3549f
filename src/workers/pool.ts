/**
 * The threads of one worker route. Each thread handles one message at a time, and further messages wait in a queue. A
 * thread that dies is replaced when the next message needs one.
 *
 * @module
 */

import { BackpressureError, ConfigError, TimeoutError, WorkerError } from "../errors.ts";
import { replied } from "../message/message.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import type { Thread, Threads } from "../thread_seam.ts";
import type { TimerHandle } from "../base/clock.ts";
import { BOOTSTRAP, SERVE } from "./bootstrap.ts";
import { ModuleFaults } from "./module_faults.ts";
import { stopped } from "./stopped.ts";
import { Task, type TaskOrigin } from "./task.ts";
import { type ErrorLikeness, isReport, likenessOf, type Payload, revived, type TaskInfo } from "./worker_messages.ts";

/** How long a module may take to load, in milliseconds. */
const LOAD_TIME = 30_000;

/** The parts and limits of a {@linkcode WorkerPool}. */
export interface PoolOptions {
  /** The message type of the route. */
  readonly type: AnyMessageType;
  /** The URL of the module that the threads load. */
  readonly module: string;
  /** The largest number of threads; `undefined` for one less than the number of cores. */
  readonly threads: number | undefined;
  /** How long a thread may take for a message, in milliseconds; `undefined` for no limit. */
  readonly timeout: number | undefined;
  /** The largest number of messages that wait for a thread. */
  readonly maxQueued: number;
  /** Loads the threads of the runtime. Called when the first message comes. */
  readonly load: () => Promise<Threads>;
  /** Called with an error that no message rejects with. */
  readonly failed: (error: unknown) => void;
}

interface Worker {
  readonly thread: Thread;
  state: "loading" | "idle" | "busy" | "over";
  task: Task | undefined;
  timer: TimerHandle;
}

/** The threads of one route. */
export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #workers = new Set<Worker>();
  readonly #ending = new Set<Promise<void>>();
  #threads: Threads | undefined = undefined;
  #loading = false;
  #queue: Task[] = [];
  #lastId = 0;
  #retired = false;
  readonly #faults: ModuleFaults;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#faults = new ModuleFaults(options.type, options.module);
  }

  /** True while the pool has no thread, not even one that is ending, and no waiting message. */
  get empty(): boolean {
    return this.#workers.size === 0 && this.#queue.length === 0 && this.#ending.size === 0;
  }

  /**
   * Handles a message in a thread. The buffer of the payload is transferred.
   *
   * @returns The encoded reply; `undefined` if the sender expects none; {@linkcode replied} if the signal of `origin` is
   * aborted before a thread has the message.
   */
  run(payload: Payload, info: Omit<TaskInfo, "timeLeft">, origin: TaskOrigin): Promise<unknown> {
    const { name } = this.#options.type;
    if (origin.signal.aborted) return Promise.resolve(replied);
    if (this.#queue.length >= this.#options.maxQueued) {
      const text = `Cannot handle "${name}": ${this.#queue.length} messages wait for a worker`;
      return Promise.reject(new BackpressureError("queue-full", text));
    }
    const task = new Task(++this.#lastId, payload, info, origin, (task) => this.#abort(task));
    this.#queue.push(task);
    this.#pump();
    return task.answer;
  }

  /** Ends each thread as soon as there is nothing left for it to do. */
  retire(): void {
    this.#retired = true;
    this.#trim();
  }

  /**
   * Ends all threads at once. Messages in work and in the queue reject. The pool can be used again afterwards. Never
   * rejects.
   */
  async stop(): Promise<void> {
    const tasks = this.#queue;
    this.#queue = [];
    for (const worker of this.#workers) {
      if (worker.task !== undefined) tasks.push(worker.task);
      this.#end(worker);
    }
    this.#faults.clear();
    const { name } = this.#options.type;
    for (const task of tasks) {
      task.reject(stopped(name));
    }
    while (this.#ending.size > 0) await Promise.all(this.#ending);
  }

  /** Gives waiting messages to idle threads, and starts threads for the rest, up to the limit. */
  #pump(): void {
    const threads = this.#threads;
    if (threads === undefined) {
      if (!this.#loading && this.#queue.length > 0) void this.#load();
      return;
    }
    let loading = 0;
    for (const worker of this.#workers) {
      if (this.#queue.length === 0) break;
      if (worker.state === "idle") this.#hand(worker, this.#queue.shift()!);
      else if (worker.state === "loading") loading++;
    }
    const most = this.#options.threads ?? Math.max(1, threads.cores - 1);
    while (this.#queue.length > loading && this.#workers.size < most) {
      const fault = this.#faults.pausing(threads.clock.now());
      if (fault !== undefined) {
        if (this.#workers.size === 0) this.#rejectAll(fault);
        return;
      }
      this.#start(threads);
      loading++;
    }
    this.#trim();
  }

  async #load(): Promise<void> {
    this.#loading = true;
    try {
      this.#threads = await this.#options.load();
    } catch (cause) {
      this.#rejectAll(new ConfigError("unsupported", "Cannot start a worker: this runtime has no threads", { cause }));
    }
    this.#loading = false;
    this.#pump();
  }

  #start(threads: Threads): void {
    let worker: Worker;
    try {
      // The callbacks run later, when `worker` is set.
      const thread = threads.start(BOOTSTRAP, { module: this.#options.module, serve: SERVE }, {
        message: (report) => this.#told(worker, report),
        exit: (error) => this.#exited(worker, error),
      });
      worker = { thread, state: "loading", task: undefined, timer: undefined };
    } catch (cause) {
      this.#broken(this.#faults.cannotLoad("no thread can be started", cause));
      return;
    }
    this.#workers.add(worker);
    worker.timer = threads.clock.setTimeout(() => {
      this.#end(worker);
      this.#broken(this.#faults.cannotLoad(`it took more than ${LOAD_TIME} ms`));
    }, LOAD_TIME);
    threads.clock.unref(worker.timer);
  }

  #hand(worker: Worker, task: Task): void {
    const { clock } = this.#threads!;
    const { timeout, type } = this.#options;
    worker.state = "busy";
    worker.task = task;
    if (timeout !== undefined) {
      worker.timer = clock.setTimeout(() => {
        this.#end(worker);
        task.reject(new TimeoutError("timeout", `The worker took more than ${timeout} ms for "${type.name}"`));
        this.#pump();
      }, timeout);
      clock.unref(worker.timer);
    }
    try {
      task.post(worker.thread);
    } catch (error) {
      // The payload cannot be sent: its buffer was given away before, say.
      this.#free(worker);
      task.reject(error);
      this.#pump();
    }
  }

  #told(worker: Worker, report: unknown): void {
    // The module and its imports may post messages of their own. Ignore them.
    if (worker.state === "over" || !isReport(report)) return;
    if (report.kind === "done" || report.kind === "failed") {
      const { task } = worker;
      if (task?.id !== report.id) return;
      this.#free(worker);
      if (report.kind === "failed") task.failed(revived(report.error), report.meta);
      else task.answered(report.reply, report.meta);
    } else {
      if (worker.state !== "loading") return;
      const fault = this.#faults.of(report);
      if (fault === undefined) {
        this.#faults.clear();
        this.#free(worker);
      } else {
        this.#end(worker);
        this.#broken(fault);
      }
    }
    this.#pump();
  }

  /** Called when a thread ended by itself. */
  #exited(worker: Worker, cause: Error): void {
    if (worker.state === "over") return;
    const { state, task } = worker;
    this.#drop(worker);
    if (state === "loading") {
      this.#broken(this.#faults.cannotLoad(`its thread ended before it was loaded: ${cause.message}`, cause));
    } else {
      const text = `The worker for "${this.#options.type.name}" crashed: ${cause.message}`;
      const error = new WorkerError("worker-crashed", text, { cause });
      if (task === undefined) this.#options.failed(error);
      else task.reject(error);
    }
    this.#pump();
  }

  /** Called when a thread cannot be used. No other is started for a while, and that pause grows with each failure. */
  #broken(error: Error): void {
    const first = this.#faults.note(error, this.#threads!.clock.now());
    // The threads that are left handle what waits. If there is none, each waiting message rejects with the error.
    if (this.#workers.size === 0 && this.#queue.length > 0) this.#rejectAll(error);
    else if (first) this.#options.failed(error);
  }

  #rejectAll(error: Error): void {
    const tasks = this.#queue;
    this.#queue = [];
    for (const task of tasks) task.reject(error);
  }

  /** Called when nobody waits for the answer of a message any more. */
  #abort(task: Task): void {
    const waiting = this.#queue.indexOf(task);
    if (waiting >= 0) {
      this.#queue.splice(waiting, 1);
      task.resolve(replied);
      return;
    }
    const reason: ErrorLikeness = likenessOf(task.signal.reason);
    for (const worker of this.#workers) {
      if (worker.task === task) worker.thread.post({ kind: "abort", id: task.id, reason }, []);
    }
  }

  #free(worker: Worker): void {
    this.#threads!.clock.clearTimeout(worker.timer);
    worker.state = "idle";
    worker.task = undefined;
  }

  /** Ends the threads of a removed route that are not busy, once its queue is empty. */
  #trim(): void {
    if (!this.#retired || this.#queue.length > 0) return;
    for (const worker of this.#workers) if (worker.state !== "busy") this.#end(worker);
  }

  #end(worker: Worker): void {
    this.#drop(worker);
    const ended = worker.thread.terminate().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  #drop(worker: Worker): void {
    this.#free(worker);
    worker.state = "over";
    this.#workers.delete(worker);
  }
}
