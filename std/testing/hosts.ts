/**
 * The three test runners behind one interface.
 *
 * @module
 */
import { isFocused, type Options, type Suite, type TestCase, TIME_LIMIT } from "./suite.ts";

/** A test runner. */
export interface Host {
  /** Hands over a top-level group or test. */
  register(node: Suite | TestCase): void;
  /** Runs something before all tests of the file. */
  beforeAll(fn: () => Promise<void>): void;
  /** Runs something after all tests of the file. */
  afterAll(fn: () => Promise<void>): void;
}

// The runner's own limit comes after ours and catches what blocks the thread.
const HOST_LIMIT = 2 * TIME_LIMIT;

/** The runner of the repository sets it for a process with several files: names then begin with the path of the file. */
const GROUPED = environment("VELTIX_TEST_GROUP") !== undefined;

/** The test runner of this runtime. */
export const host: Host = await findHost();

async function findHost(): Promise<Host> {
  const host = await runnerOf();
  return GROUPED ? { ...host, register: (node) => host.register(withFile(node)) } : host;
}

function environment(name: string): string | undefined {
  return (globalThis as { process?: { env: Record<string, string | undefined> } }).process?.env[name];
}

/** Adds the file that registers it, which the reports of Deno and Node do not tell. */
function withFile(node: Suite | TestCase): Suite | TestCase {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  // The outermost call is in the test file: a helper may have registered it.
  const file = new Error().stack?.match(/tests[\\/][\w.-]+_test\.ts/g)?.at(-1)?.replace("\\", "/");
  Error.stackTraceLimit = stackTraceLimit;
  node.name = `${file}: ${node.name}`;
  return node;
}

async function runnerOf(): Promise<Host> {
  if ("Deno" in globalThis) return denoHost();
  // Specifiers in variables: Deno would look for these modules when it checks types.
  const bun = "bun:test";
  const node = "node:test";
  return "Bun" in globalThis ? bunHost(await import(bun)) : nodeHost(await import(node));
}

function denoHost(): Host {
  const register = (node: Suite | TestCase, path: string, inherited: Options): void => {
    const options = { ...inherited, ...node.options };
    const name = path ? `${path} > ${node.name}` : node.name;
    if (node.kind === "case") Deno.test({ ...options, name, fn: () => node.suite.run(node) });
    else if (node.hasGroupHooks && !options.ignore) Deno.test({ ...options, name, fn: (t) => steps(node, t) });
    else for (const child of node.children) register(child, name, options);
  };
  return {
    register: (node) => register(node, "", isFocused(node) ? { only: true } : {}),
    beforeAll: (fn) => Deno.test.beforeAll(fn),
    afterAll: (fn) => Deno.test.afterAll(fn),
  };
}

async function steps(suite: Suite, t: Deno.TestContext): Promise<void> {
  try {
    await suite.setUp();
    for (const child of suite.children) {
      const { only: _, ...options } = child.options;
      await t.step({
        ...options,
        name: child.name,
        fn: (t) => child.kind === "case" ? suite.run(child) : steps(child, t),
      });
    }
  } finally {
    await suite.tearDown();
  }
}

type Register = (name: string, fn: () => unknown, limit?: number) => void;
type BunTest = Record<"describe" | "it", Register & { skip: Register; only: Register }> & {
  beforeAll(fn: () => Promise<void>, limit: number): void;
  afterAll(fn: () => Promise<void>, limit: number): void;
};

function bunHost(bun: BunTest): Host {
  const pick = (kind: "describe" | "it", { ignore, only }: Options): Register =>
    ignore ? bun[kind].skip : only ? bun[kind].only : bun[kind];
  const register = (node: Suite | TestCase): void => {
    if (node.kind === "case") return pick("it", node.options)(node.name, () => node.suite.run(node), HOST_LIMIT);
    pick("describe", node.options)(node.name, () => {
      if (node.hasGroupHooks) {
        bun.beforeAll(() => node.setUp(), HOST_LIMIT);
        bun.afterAll(() => node.tearDown(), HOST_LIMIT);
      }
      for (const child of node.children) register(child);
    });
  };
  return {
    register,
    beforeAll: (fn) => bun.beforeAll(fn, HOST_LIMIT),
    afterAll: (fn) => bun.afterAll(fn, HOST_LIMIT),
  };
}

type NodeOptions = { skip?: boolean; only?: boolean; timeout?: number };
type NodeTest =
  & Record<"describe" | "it", (name: string, options: NodeOptions, fn: () => unknown) => unknown>
  & Record<"before" | "after", (fn: () => Promise<void>, options: NodeOptions) => void>;

function nodeHost(node: NodeTest): Host {
  const limit = { timeout: HOST_LIMIT };
  const register = (item: Suite | TestCase): void => {
    const options = { skip: item.options.ignore, only: item.options.only };
    if (item.kind === "case") return void node.it(item.name, { ...options, ...limit }, () => item.suite.run(item));
    node.describe(item.name, options, () => {
      if (item.hasGroupHooks) {
        node.before(() => item.setUp(), limit);
        node.after(() => item.tearDown(), limit);
      }
      for (const child of item.children) register(child);
    });
  };
  return {
    register,
    beforeAll: (fn) => node.before(fn, limit),
    afterAll: (fn) => node.after(fn, limit),
  };
}
