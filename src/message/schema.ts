/**
 * Validators that implement Standard Schema (https://standardschema.dev).
 *
 * @module
 */

import { excerpt } from "../base/untrusted.ts";
import { isThenable } from "../base/thenable.ts";
import { UnreadableError } from "../base/unreadable.ts";

/**
 * The part of the Standard Schema interface, version 1, that is used here.
 *
 * @category Messages
 */
export interface StandardSchema<In = unknown, Out = In> {
  /** The schema's own description of itself. */
  readonly "~standard": {
    /** The version of the interface. */
    readonly version: 1;
    /** The name of the library that the validator is from. */
    readonly vendor: string;
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    /** Exists only as a type, never at run time. */
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

/**
 * A validator's result: the value, or what is wrong with it.
 *
 * @category Messages
 */
export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/**
 * One problem that a validator found.
 *
 * @category Messages
 */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string;
  /** The path from the root to where it is. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Returns what a schema makes of a value. Throws if the schema refuses it. */
export function validate<Out>(schema: StandardSchema<unknown, Out>, value: unknown): Out {
  const result = schema["~standard"].validate(value);
  if (isThenable(result)) {
    result.then(undefined, () => {});
    throw new UnreadableError(
      "invalid-payload",
      "Cannot check the payload: the schema answered with a promise, as it is asynchronous or a function in it threw; " +
        "use one that answers at once",
    );
  }
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  // The path and the message may quote what the peer sent, at any length.
  const path = (issue?.path ?? []).map((step) => String(typeof step === "object" ? step.key : step)).join(".");
  const message = excerpt(String(issue?.message ?? "the schema refused it"));
  throw new UnreadableError(
    "invalid-payload",
    `The payload is invalid: ${path === "" ? "" : `${excerpt(path)}: `}${message}`,
    { cause: result.issues },
  );
}
