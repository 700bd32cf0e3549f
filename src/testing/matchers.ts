/**
 * Matchers for `expect.extend` of Vitest, Jest, Bun and `@std/expect`.
 *
 * @module
 */

import type { AssertionError } from "./assertion.ts";
import { assertConnected, assertEvent, assertFailsWith, assertReceived, type HasState } from "./assertions.ts";
import type { RecordedEvents } from "./event_recorder.ts";
import type { ReceivedMessages } from "./inbox.ts";
import { show } from "./values.ts";

/**
 * The result of a matcher, as `expect.extend` takes it.
 *
 * @category Testing
 */
export interface MatcherResult {
  /** True if the value is as expected. */
  readonly pass: boolean;
  /** Returns what is wrong: that the value is not as expected or, with `.not`, that it is. */
  message(): string;
}

/**
 * The matchers, by their names. This is a type and no interface, so that it is a record of functions, as `expect.extend`
 * takes it.
 *
 * @category Testing
 */
export type Matchers = {
  /** A client is connected. */
  toBeConnected(client: HasState): MatcherResult;
  /** An `Inbox` has a message whose payload is like this one; without a payload, any message. */
  toHaveReceived(inbox: ReceivedMessages, ...expected: [payload?: unknown]): MatcherResult;
  /** An `EventRecorder` has an event with this name, whose first arguments are like these. */
  toHaveEvent(recorder: RecordedEvents, name: string, ...args: readonly unknown[]): MatcherResult;
  /** A promise rejects with an error of this code. Await the matcher. `rejects` is not needed. */
  toFailWith(promise: PromiseLike<unknown> | (() => unknown), code: string): Promise<MatcherResult>;
};

/**
 * The matchers as `expect(value)` has them. A declaration adds them to the types of a runner.
 *
 * @typeParam R What the matchers of the runner return.
 * @example With Vitest
 * ```ts ignore
 * import type { ExpectMatchers } from "@veltix/core/testing";
 *
 * declare module "vitest" {
 *   interface Matchers<T> extends ExpectMatchers {}
 * }
 * ```
 *
 * @category Testing
 */
export interface ExpectMatchers<R = void> {
  /** A client is connected. */
  toBeConnected(): R;
  /** An `Inbox` has a message whose payload is like this one; without a payload, any message. */
  toHaveReceived(...expected: [payload?: unknown]): R;
  /** An `EventRecorder` has an event with this name, whose first arguments are like these. */
  toHaveEvent(name: string, ...args: readonly unknown[]): R;
  /** A promise rejects with an error of this code. Await the matcher. `rejects` is not needed. */
  toFailWith(code: string): Promise<R>;
}

/**
 * The matchers `toBeConnected`, `toHaveReceived`, `toHaveEvent` and `toFailWith`, for `expect.extend(matchers)`. All of
 * them can be negated by `.not`.
 *
 * @example With Vitest; Jest and Bun do the same
 * ```ts ignore
 * import { expect, test } from "vitest";
 * import { connect, matchers, serve } from "@veltix/core/testing";
 *
 * expect.extend(matchers);
 *
 * test("a client connects", async () => {
 *   await using served = await serve();
 *   await using connected = await connect(served);
 *   expect(connected.client).toBeConnected();
 *   expect(served.events).toHaveEvent("connect");
 * });
 * ```
 *
 * @category Testing
 */
export const matchers: Matchers = Object.freeze({
  toBeConnected: (client: HasState) => judge(() => assertConnected(client), "the client not to be connected"),
  toHaveReceived: (inbox: ReceivedMessages, ...expected: [payload?: unknown]) =>
    judge(() => assertReceived(inbox, ...expected), `no message${texts(expected)} of ${inbox.name}`),
  toHaveEvent: (recorder: RecordedEvents, name: string, ...args: readonly unknown[]) =>
    judge(() => assertEvent(recorder, name, ...args), `no event "${name}"${texts(args)}`),
  toFailWith: async (promise: PromiseLike<unknown> | (() => unknown), code: string) => {
    try {
      await assertFailsWith(promise, code);
      return passed(`no error with the code "${code}"`);
    } catch (error) {
      return failed(error as AssertionError);
    }
  },
});

function judge(assertion: () => void, negated: string): MatcherResult {
  try {
    assertion();
    return passed(negated);
  } catch (error) {
    // A misused matcher is a fault of the test, and not what `.not` is about.
    if ((error as Error).name !== "AssertionError") throw error;
    return failed(error as AssertionError);
  }
}

function passed(negated: string): MatcherResult {
  return { pass: true, message: () => `Expected ${negated}` };
}

function failed(error: AssertionError): MatcherResult {
  return { pass: false, message: () => error.message };
}

function texts(values: readonly unknown[]): string {
  return values.map((value) => ` ${show(value)}`).join("");
}
