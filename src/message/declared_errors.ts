/**
 * The errors that a type of message or stream declares, so that both sides know their codes. An error has a code in any
 * case; a type that declares some says which ones its callers should expect.
 *
 * @module
 */

import { RemoteError, VeltixError } from "../errors.ts";
import { show } from "../base/checks.ts";
import { printable } from "../base/untrusted.ts";

/**
 * A type of message or stream that declares errors. `Code` is the union of their codes.
 *
 * @category Errors
 */
export interface DeclaresErrors<Code extends string> {
  /** The codes of the errors that a handler of this type answers with on purpose. */
  readonly errors: readonly Code[];
}

/**
 * What a type has besides its codecs: its errors, if it declares some.
 *
 * @category Errors
 */
export type WithErrors<Code extends string> = [Code] extends [never] ? unknown : DeclaresErrors<Code>;

/**
 * The codes of the errors that a type declares; `never` if it declares none.
 *
 * @category Errors
 */
export type ErrorCodeOf<Type> = Type extends DeclaresErrors<infer Code> ? Code : never;

/**
 * An error of the peer that a type declares, with its code as a union of literals.
 *
 * @category Errors
 */
export type RemoteErrorOf<Type> = RemoteError & { readonly code: ErrorCodeOf<Type> };

/** The longest code that reaches the peer as it is. */
const MAX_CODE = 100;

/**
 * Checks the codes that a type declares and returns a frozen copy.
 *
 * @throws {TypeError} They are no list of texts that a peer receives unchanged, or one of them occurs twice.
 */
export function checkErrors(kind: string, name: string, errors: readonly string[]): readonly string[] {
  const what = `Cannot declare the ${kind} "${name}"`;
  if (!Array.isArray(errors)) throw new TypeError(`${what}: errors must be a list of codes, not ${show(errors)}`);
  for (const [i, code] of errors.entries()) {
    if (typeof code !== "string" || code === "" || code.length > MAX_CODE || printable(code) !== code) {
      const right = `a text of 1 to ${MAX_CODE} printable characters`;
      throw new TypeError(`${what}: each of its errors must be ${right}, not ${show(code)}`);
    }
    if (errors.indexOf(code) !== i) throw new TypeError(`${what}: its errors have ${show(code)} twice`);
  }
  return Object.freeze([...errors]);
}

/** Returns whether an error has a code that a type declares. Never throws, whatever the error is. */
export function declares(type: object, error: unknown): boolean {
  const { errors } = type as Partial<DeclaresErrors<string>>;
  if (errors === undefined) return false;
  try {
    return errors.includes((error as { readonly code?: unknown } | null | undefined)?.code as string);
  } catch {
    // Anything can be thrown, even a value whose members cannot be read.
    return false;
  }
}

/**
 * Creates an error that a type declares, for its handler to throw. The peer's request then rejects with a `RemoteError`
 * of this code and message. The `error` event does not fire for it, because it is an answer and not a fault.
 *
 * @param type The type, which declares errors.
 * @param code The code of the error, one of those that the type declares.
 * @param message What went wrong, for people. Default: the code.
 * @param options `cause`, the error that caused this one. It stays on this side.
 * @returns The error. It is to be thrown.
 * @throws {TypeError} The type declares no such error.
 *
 * @example An error that the caller expects
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { Client, errorOf, isErrorOf, json, messageTypes, Server, text } from "@veltix/core";
 *
 * const { find } = messageTypes({
 *   find: { payload: json<number>(), reply: text, errors: ["not-found", "busy"] },
 * });
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(find, ({ data }) => {
 *   if (data === 1) return "Ada";
 *   throw errorOf(find, "not-found", `There is no user ${data}`);
 * });
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals(await client.request(find, 1), "Ada");
 * const error = await client.request(find, 2).catch((error) => error);
 * assert(isErrorOf(error, find));
 * // The type of error.code is "not-found" | "busy".
 * assertEquals([error.code, error.message], ["not-found", "There is no user 2"]);
 * ```
 *
 * @category Errors
 */
export function errorOf<Code extends string>(
  type: DeclaresErrors<Code> & { readonly name: string },
  code: NoInfer<Code>,
  message: string = code,
  options?: ErrorOptions,
): VeltixError<Code> {
  const error = new VeltixError(code, message, options);
  if (declares(type, error)) return error;
  const known = type?.errors?.join(", ") ?? "none";
  throw new TypeError(
    `Cannot make an error of "${type?.name}": it declares no ${show(code)}, its errors are: ${known}`,
  );
}

/**
 * Returns whether a caught error is one that a type declares: the peer answered with it. Its `code` is then narrowed to
 * the codes of the type, so that a `switch` over them can be complete.
 *
 * @param error Any caught value.
 * @param type The type that was called, which declares errors.
 * @returns True for a `RemoteError` with one of the codes.
 *
 * @example Answering differently to each
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { isErrorOf, json, messageTypes, RemoteError, text } from "@veltix/core";
 *
 * const { find } = messageTypes({
 *   find: { payload: json<number>(), reply: text, errors: ["not-found", "busy"] },
 * });
 * function advice(error: unknown): string {
 *   if (!isErrorOf(error, find)) throw error;
 *   switch (error.code) {
 *     case "not-found":
 *       return "ask for another one";
 *     case "busy":
 *       return "ask later";
 *   }
 * }
 * assertEquals(advice(new RemoteError("busy", "The store is busy")), "ask later");
 * ```
 *
 * @category Errors
 */
export function isErrorOf<Type extends DeclaresErrors<string>>(
  error: unknown,
  type: Type,
): error is RemoteErrorOf<Type> {
  return error instanceof RemoteError && declares(type, error);
}
