/**
 * Assertions about servers, clients, events and messages, for any test runner. `matchers` has the same for `expect`.
 *
 * @module
 */

import { AssertionError } from "./assertion.ts";
import type { RecordedEvents } from "./event_recorder.ts";
import type { ReceivedMessages } from "./inbox.ts";
import { matches, show } from "./values.ts";

/**
 * What {@linkcode assertConnected} looks at: a Client.
 *
 * @category Testing
 */
export interface HasState {
  /** The state of the client. */
  readonly state: string;
}

/**
 * Asserts that a client is connected.
 *
 * @throws {AssertionError} It is not. The message of the error says in which state it is.
 *
 * @category Testing
 */
export function assertConnected(client: HasState): void {
  if (client.state === "connected") return;
  throw new AssertionError(`Expected the client to be connected, but it is ${show(client.state)}`, {
    actual: client.state,
    expected: "connected",
  });
}

/**
 * Asserts that a message came, now or before.
 *
 * @param inbox Where messages of its type are collected.
 * @param expected The payload. An object may have more members than those expected. @default any message will do
 * @throws {AssertionError} None like it came. The message of the error lists those that came.
 *
 * @category Testing
 */
export function assertReceived(inbox: ReceivedMessages, ...expected: [payload?: unknown]): void {
  if (expected.length === 0 ? inbox.all.length > 0 : inbox.all.some((data) => matches(data, expected[0]))) return;
  const what = expected.length === 0 ? "" : ` ${show(expected[0])}`;
  throw new AssertionError(`Expected a message${what} of ${inbox.name}: ${inbox.describe()}`, {
    actual: inbox.all,
    expected: expected[0],
  });
}

/**
 * Asserts that an event came, now or before.
 *
 * @param recorder The recorded events.
 * @param name The name of the event.
 * @param args The first arguments. An object may have more members than those expected.
 * @throws {AssertionError} None like it came. The message of the error lists those that came.
 *
 * @category Testing
 */
export function assertEvent(recorder: RecordedEvents, name: string, ...args: readonly unknown[]): void {
  const all = recorder.all.filter(([other]) => other === name).map(([, ...args]) => args);
  if (all.some((came) => args.every((arg, i) => matches(came[i], arg)))) return;
  throw new AssertionError(
    `Expected the event ${[JSON.stringify(name), ...args.map(show)].join(" ")}: ${recorder.describe()}`,
    {
      actual: all,
      expected: args,
    },
  );
}

/**
 * Asserts that a promise rejects with an error of this code, such as `"timeout"` or `"refused"`.
 *
 * @param promise The promise, or a function that returns it.
 * @param code The `code` of the error.
 * @returns The error.
 * @throws {AssertionError} The promise resolves, or rejects with another error.
 *
 * @category Testing
 */
export async function assertFailsWith(
  promise: PromiseLike<unknown> | (() => unknown),
  code: string,
): Promise<Error & { readonly code: string }> {
  let value: unknown;
  try {
    value = await (typeof promise === "function" ? promise() : promise);
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === code) return error as Error & { readonly code: string };
    throw new AssertionError(`Expected an error with the code "${code}", but got ${show(error)}`, {
      actual: error,
      expected: code,
    });
  }
  throw new AssertionError(`Expected an error with the code "${code}", but it resolved with ${show(value)}`, {
    actual: value,
    expected: code,
  });
}
