/**
 * Groups, test cases, and how one of them runs with the hooks around it, the same on every runtime.
 *
 * @module
 */

/** The `this` of tests and hooks, when nothing else is asked for. */
export type Context = Record<string, unknown>;

/** The body of a hook or a test. */
export type Hook = (this: Context) => void | Promise<void>;

/** The kinds of hooks. */
export type HookName = "beforeAll" | "afterAll" | "beforeEach" | "afterEach";

/** Options of a group or a test. */
export interface Options {
  /** Not run. */
  ignore?: boolean;
  /** Run alone. Deno then fails the run, so that it is not forgotten. */
  only?: boolean;
  /** Deno: see `Deno.TestDefinition`. */
  sanitizeOps?: boolean;
  /** Deno: see `Deno.TestDefinition`. */
  sanitizeResources?: boolean;
  /** Deno: see `Deno.TestDefinition`. */
  sanitizeExit?: boolean;
}

/** One `it`. */
export interface TestCase {
  readonly kind: "case";
  name: string;
  readonly body: Hook;
  readonly options: Options;
  readonly suite: Suite;
}

/** The longest time a test or a hook may take, in milliseconds. */
export const TIME_LIMIT = 60_000;

// Taken at load: tests may put fake timers in their place.
const { setTimeout, clearTimeout } = globalThis;

/** One `describe`. */
export class Suite {
  readonly kind = "suite";
  name: string;
  readonly parent: Suite | undefined;
  readonly options: Options;
  readonly hooks: Record<HookName, Hook[]> = { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] };
  children: (Suite | TestCase)[] = [];
  #context: Context | undefined;
  #running = 0;

  constructor(name: string, parent: Suite | undefined, options: Options) {
    this.name = name;
    this.parent = parent;
    this.options = options;
  }

  /** The `this` that the tests of the group start from. */
  get context(): Context {
    return this.#context ??= { ...this.parent?.context };
  }

  /** Whether a test or a hook of this group runs now. */
  get running(): boolean {
    return this.#running > 0;
  }

  /** Whether the group opens something that outlives a single test. */
  get hasGroupHooks(): boolean {
    return this.hooks.beforeAll.length + this.hooks.afterAll.length > 0;
  }

  /** Whether this group, or something in it, is to run alone. */
  get focused(): boolean {
    return this.options.only === true || this.children.some(isFocused);
  }

  /** Leaves out what is not `only`, where something is. */
  focus(): void {
    if (this.children.some(isFocused)) this.children = this.children.filter(isFocused);
    for (const child of this.children) if (child.kind === "suite") child.focus();
  }

  /** Runs the `beforeAll` hooks. */
  async setUp(): Promise<void> {
    for (const hook of this.hooks.beforeAll) await this.call(hook, this.context);
  }

  /** Runs all `afterAll` hooks and then throws what any of them threw. */
  async tearDown(): Promise<void> {
    throwAll(await this.#all(this.hooks.afterAll, this.context));
  }

  /** Runs a test case of this group with every `beforeEach` and `afterEach` around it. */
  async run(test: TestCase): Promise<void> {
    const chain: Suite[] = [];
    for (let suite: Suite | undefined = test.suite; suite; suite = suite.parent) chain.unshift(suite);
    const context = { ...this.context };
    const errors: unknown[] = [];
    const entered: Suite[] = [];
    try {
      for (const suite of chain) {
        for (const hook of suite.hooks.beforeEach) await this.call(hook, context);
        entered.unshift(suite);
      }
      await this.call(test.body, context);
    } catch (error) {
      errors.push(error);
    }
    for (const suite of entered) errors.push(...await this.#all(suite.hooks.afterEach, context));
    throwAll(errors);
  }

  /** Calls a hook or a test body and stops waiting for it after a minute. */
  async call(hook: Hook, context: Context): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.#count(1);
    try {
      const result: unknown = hook.call(context);
      if (!(result instanceof Promise)) return;
      await Promise.race([
        result,
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error(`Timed out after ${TIME_LIMIT} ms`)), TIME_LIMIT);
        }),
      ]);
    } finally {
      clearTimeout(timer);
      this.#count(-1);
    }
  }

  async #all(hooks: Hook[], context: Context): Promise<unknown[]> {
    const errors: unknown[] = [];
    for (const hook of hooks) {
      try {
        await this.call(hook, context);
      } catch (error) {
        errors.push(error);
      }
    }
    return errors;
  }

  #count(step: number): void {
    this.#running += step;
    if (this.parent) this.parent.#count(step);
  }
}

/** Whether a group or a test is to run alone. */
export function isFocused(node: Suite | TestCase): boolean {
  return node.kind === "suite" ? node.focused : node.options.only === true;
}

function throwAll(errors: unknown[]): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join("\n"), { cause: errors[0] });
}
