/**
 * A stand-in for `@std/testing/bdd` that runs on Deno, Bun and Node: `describe`, `it` and the hooks, handed to
 * `Deno.test`, `bun:test` or `node:test`. Hooks keep one order everywhere: `beforeEach` from the outside in, `afterEach`
 * from the inside out, and every `afterEach` and `afterAll` runs whatever failed before it.
 *
 * On Deno every `it` is a `Deno.test` of its own, so the sanitizers look at each; a `describe` with `beforeAll` or
 * `afterAll` becomes one `Deno.test` with a step for each `it`, because what its hooks open outlives a single test.
 *
 * A test or hook that takes longer than a minute fails.
 *
 * @module
 */
import { type Context, type Hook, type HookName, type Options, Suite, type TestCase } from "./suite.ts";
import { host } from "./hosts.ts";

/** What {@linkcode it} takes besides a name and a body. */
export type ItDefinition<T> = Options & { name: string; fn: (this: T) => void | Promise<void> };

/** What {@linkcode describe} takes besides a name and a body. */
export type DescribeDefinition<T> =
  & Options
  & { name: string; fn?: () => void }
  & { [Name in HookName]?: ((this: T) => void | Promise<void>) | ((this: T) => void | Promise<void>)[] };

/** The arguments of {@linkcode it}. */
export type ItArgs<T> =
  | [options: ItDefinition<T>]
  | [name: string, fn: (this: T) => void | Promise<void>]
  | [name: string, options: Omit<ItDefinition<T>, "name">]
  | [name: string, options: Omit<ItDefinition<T>, "fn" | "name">, fn: (this: T) => void | Promise<void>];

/** The arguments of {@linkcode describe}. */
export type DescribeArgs<T> =
  | [options: DescribeDefinition<T>]
  | [name: string, fn: () => void]
  | [name: string, options: Omit<DescribeDefinition<T>, "name">]
  | [name: string, options: Omit<DescribeDefinition<T>, "fn" | "name">, fn: () => void];

const root = new Suite("", undefined, {});
let current = root;
let registered = false;

/** Registers a test case. */
export function it<T = Context>(...args: ItArgs<T>): void {
  if (root.running) throw new Error("Cannot register new test cases after already registered test cases start running");
  const { name, fn, ...options } = definition<ItDefinition<T>>(args);
  const test: TestCase = { kind: "case", name, body: fn as Hook, options, suite: current };
  if (current === root) register(test);
  else current.children.push(test);
}

/** Registers only this test case. */
it.only = function itOnly<T = Context>(...args: ItArgs<T>): void {
  it<T>({ ...definition<ItDefinition<T>>(args), only: true });
};

/** Registers a test case that is not run. */
it.ignore = function itIgnore<T = Context>(...args: ItArgs<T>): void {
  it<T>({ ...definition<ItDefinition<T>>(args), ignore: true });
};

/** Registers a test case that is not run. The same as `it.ignore`. */
it.skip = function itSkip<T = Context>(...args: ItArgs<T>): void {
  it.ignore<T>(...args);
};

/** Registers a group of test cases. */
export function describe<T = Context>(...args: DescribeArgs<T>): void {
  if (root.running) {
    throw new Error("Cannot register new test suites after already registered test cases start running");
  }
  const { name, fn, beforeAll, afterAll, beforeEach, afterEach, ...options } = definition<DescribeDefinition<T>>(args);
  const suite = new Suite(name, current, options);
  for (const [hook, given] of Object.entries({ beforeAll, afterAll, beforeEach, afterEach })) {
    if (given) suite.hooks[hook as HookName].push(...[given].flat() as Hook[]);
  }
  const outer = current;
  current = suite;
  try {
    const result: unknown = fn?.();
    if (result instanceof Promise) {
      throw new Error('Returning a Promise from "describe" is not supported: tests must be defined synchronously');
    }
  } finally {
    current = outer;
  }
  if (outer === root) register(suite);
  else outer.children.push(suite);
}

/** Registers only this group. */
describe.only = function describeOnly<T = Context>(...args: DescribeArgs<T>): void {
  describe<T>({ ...definition<DescribeDefinition<T>>(args), only: true });
};

/** Registers a group that is not run. */
describe.ignore = function describeIgnore<T = Context>(...args: DescribeArgs<T>): void {
  describe<T>({ ...definition<DescribeDefinition<T>>(args), ignore: true });
};

/** Registers a group that is not run. The same as `describe.ignore`. */
describe.skip = function describeSkip<T = Context>(...args: DescribeArgs<T>): void {
  describe.ignore<T>(...args);
};

/** Runs once before the tests of the group. */
export function beforeAll<T = Context>(fn: (this: T) => void | Promise<void>): void {
  addHook("beforeAll", fn as Hook);
}

/** Runs once before the tests of the group. The same as {@linkcode beforeAll}. */
export function before<T = Context>(fn: (this: T) => void | Promise<void>): void {
  beforeAll(fn);
}

/** Runs once after the tests of the group. */
export function afterAll<T = Context>(fn: (this: T) => void | Promise<void>): void {
  addHook("afterAll", fn as Hook);
}

/** Runs once after the tests of the group. The same as {@linkcode afterAll}. */
export function after<T = Context>(fn: (this: T) => void | Promise<void>): void {
  afterAll(fn);
}

/** Runs before each test of the group. */
export function beforeEach<T = Context>(fn: (this: T) => void | Promise<void>): void {
  addHook("beforeEach", fn as Hook);
}

/** Runs after each test of the group, whether it passed or not. */
export function afterEach<T = Context>(fn: (this: T) => void | Promise<void>): void {
  addHook("afterEach", fn as Hook);
}

function addHook(name: HookName, fn: Hook): void {
  if (current === root) {
    if (registered) throw new Error("Cannot add global hooks after a global test is registered");
    if (name === "beforeAll") host.beforeAll(() => root.call(fn, root.context));
    if (name === "afterAll") host.afterAll(() => root.call(fn, root.context));
  }
  current.hooks[name].push(fn);
}

function register(node: Suite | TestCase): void {
  registered = true;
  if (node.kind === "suite") node.focus();
  host.register(node);
}

function definition<D>(args: readonly unknown[]): D {
  const [first, second, third] = args;
  if (typeof first !== "string") return first as D;
  if (typeof second === "function") return { name: first, fn: second } as D;
  return { ...(second as object), name: first, ...(third ? { fn: third } : {}) } as D;
}
