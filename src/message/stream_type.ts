/**
 * Stream types: a code on the wire, a name for people, and the codecs of the head, of both directions and of the result.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { FIRST_APPLICATION_CODE } from "../wire/frame.ts";
import { bytes, type Codec, empty } from "./codecs.ts";
import { checkErrors, type WithErrors } from "./declared_errors.ts";
import { checkCodec } from "./message_type.ts";

/**
 * One direction of a stream: the codec of its items, or `false` if nothing is sent in it. With the codec `bytes` it
 * carries bytes without items, in chunks of any size.
 *
 * @category Streams
 */
export type Direction<Out, In> = Codec<Out, In> | false;

/**
 * A type of stream. `HeadIn` is what the opener passes, `HeadOut` what the handler gets, and so on. *Up* is the direction
 * from the opener, *down* the one to it.
 *
 * @category Streams
 */
export interface StreamType<
  HeadIn,
  HeadOut = HeadIn,
  UpIn = Uint8Array,
  UpOut = UpIn,
  DownIn = Uint8Array,
  DownOut = DownIn,
  ResultIn = void,
  ResultOut = ResultIn,
> {
  /** The code on the wire, 200 to 65535. */
  readonly code: number;
  /** Its name, for logs and errors. */
  readonly name: string;
  /** What it is for; empty by default. */
  readonly description: string;
  /** Codec of what the opener says at the beginning. */
  readonly head: Codec<HeadOut, HeadIn>;
  /** What the opener sends; `undefined` for nothing. */
  readonly up: Codec<UpOut, UpIn> | undefined;
  /** What the opener receives; `undefined` for nothing. */
  readonly down: Codec<DownOut, DownIn> | undefined;
  /** Codec of the answer at the end. */
  readonly result: Codec<ResultOut, ResultIn>;
  /** False if nothing of the stream is ever compressed. */
  readonly compress: boolean;
}

/**
 * Any stream type at all.
 *
 * @category Streams
 */
export type AnyStreamType = StreamType<never, unknown, never, unknown, never, unknown, never, unknown>;

/**
 * The parts of a stream type; all optional.
 *
 * @category Streams
 */
export interface StreamParts<
  HeadIn,
  HeadOut,
  UpIn,
  UpOut,
  DownIn,
  DownOut,
  ResultIn,
  ResultOut,
  Code extends string = string,
> {
  /** Codec of what the opener says at the beginning, such as a file's name. @default nothing, the codec `empty` */
  readonly head?: Codec<HeadOut, HeadIn>;
  /** What the opener sends. @default bytes */
  readonly up?: Direction<UpOut, UpIn>;
  /** What the opener receives. @default bytes */
  readonly down?: Direction<DownOut, DownIn>;
  /** Codec of the answer at the end. @default nothing, the codec `empty` */
  readonly result?: Codec<ResultOut, ResultIn>;
  /** What it is for. @default "" */
  readonly description?: string;
  /**
   * False to leave head, pieces and result uncompressed if a Server or a Client has the option `compression`. Set it for
   * streams with secrets beside text that an attacker chooses. Streams that do not shrink, such as those of images, need
   * no setting: after a few pieces, compressing the rest is tried only now and then.
   * @default true
   */
  readonly compress?: boolean;
  /**
   * The codes of the errors that its handlers answer with on purpose, such as `["not-found", "busy"]`. `errorOf` makes
   * such an error, and `isErrorOf` recognizes it. The `error` event does not fire for it.
   * @default none
   */
  readonly errors?: readonly Code[] | undefined;
}

/**
 * Declares a type of stream. Both directions are bytes by default; with a codec they are items, each of which is encoded
 * and checked like the payload of a message.
 *
 * @param code 200 to 65535. A message type must not have the same.
 * @param name For logs and errors.
 * @param parts The codecs of `head`, `up`, `down` and `result`. `up: false` or `down: false` says that nothing is sent in
 * that direction, which saves its window.
 * @returns The frozen type.
 * @throws {MessageTypeError} `code-out-of-range`.
 * @throws {TypeError} The name is not a non-empty string, a codec is not a codec, `parts` has a part of another name,
 * `compress` is not a boolean, or `errors` is no list of codes.
 *
 * @example A file that goes up, and prices that come down
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json, streamType } from "@veltix/core";
 *
 * const UPLOAD = streamType(300, "upload", { head: json<{ name: string }>(), down: false, result: json<number>() });
 * const PRICES = streamType(301, "prices", { head: json<{ symbol: string }>(), up: false, down: json<number>() });
 * assertEquals([UPLOAD.code, PRICES.name, PRICES.up], [300, "prices", undefined]);
 * ```
 *
 * @category Streams
 */
export function streamType<
  HeadIn = void,
  HeadOut = HeadIn,
  UpIn = Uint8Array,
  UpOut = UpIn,
  DownIn = Uint8Array,
  DownOut = DownIn,
  ResultIn = void,
  ResultOut = ResultIn,
  const Code extends string = never,
>(
  code: number,
  name: string,
  parts: StreamParts<HeadIn, HeadOut, UpIn, UpOut, DownIn, DownOut, ResultIn, ResultOut, Code> = {},
): StreamType<HeadIn, HeadOut, UpIn, UpOut, DownIn, DownOut, ResultIn, ResultOut> & WithErrors<Code> {
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`Cannot declare the stream type ${code}: its name must be a non-empty string`);
  }
  if (!Number.isInteger(code) || code < FIRST_APPLICATION_CODE || code > 0xffff) {
    throw new MessageTypeError(
      "code-out-of-range",
      `Cannot declare the stream type "${name}": its code must be ${FIRST_APPLICATION_CODE} to 65535, not ${code}`,
    );
  }
  checkParts(name, parts);
  const { description = "", head = empty, up = bytes, down = bytes, result = empty, compress = true, errors } = parts;
  if (typeof compress !== "boolean") {
    throw new TypeError(`Cannot declare the stream type "${name}": compress must be a boolean`);
  }
  for (const [part, codec] of Object.entries({ head, up, down, result })) {
    const mayBeNothing = part === "up" || part === "down";
    if (codec !== false || !mayBeNothing) checkCodec(codec as Codec<unknown>, name, part, "stream type");
  }
  const type = {
    code,
    name,
    description,
    head: head as Codec<HeadOut, HeadIn>,
    up: up === false ? undefined : up as Codec<UpOut, UpIn>,
    down: down === false ? undefined : down as Codec<DownOut, DownIn>,
    result: result as Codec<ResultOut, ResultIn>,
    compress,
  };
  const declared = errors === undefined ? type : { ...type, errors: checkErrors("stream type", name, errors) };
  return Object.freeze(declared) as typeof type & WithErrors<Code>;
}

const PARTS = ["head", "up", "down", "result", "description", "compress", "errors"];

/** Checks that no part is misspelled: what is left out has a default, and nobody would notice. */
function checkParts(name: string, parts: object): void {
  const problem = typeof parts !== "object" || parts === null || Array.isArray(parts)
    ? "its parts must be an object"
    : "encode" in parts
    ? "it has a codec in place of its parts"
    : Object.keys(parts).filter((part) => !PARTS.includes(part)).map((part) => `it has no part "${part}"`)[0];
  if (problem === undefined) return;
  throw new TypeError(`Cannot declare the stream type "${name}": ${problem}, pass { head, up, down, result }`);
}

/** Returns whether a value is a stream type, and not a message type. */
export function isStreamType(type: { readonly code: number }): type is AnyStreamType {
  return "head" in type && "result" in type;
}
