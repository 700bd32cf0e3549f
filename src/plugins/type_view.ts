/**
 * Types of messages and streams as plugins see them.
 *
 * @module
 */

import type { AnyType } from "../app/middleware.ts";
import type { Codec } from "../message/codecs.ts";

/** The types that one plugin has seen. A type is always the same object, so that a plugin can compare it. */
export class TypeViews {
  readonly #views = new WeakMap<object, AnyType>();
  readonly #codecs = new WeakMap<object, Codec<unknown>>();

  /** Returns a frozen type that does what another does. Its codecs cannot be changed, nor what they belong to. */
  of(type: AnyType): AnyType {
    let view = this.#views.get(type);
    if (view === undefined) {
      const members = Object.entries(type).map((
        [name, member],
      ) => [name, isCodec(member) ? this.#codec(member) : member]);
      view = Object.freeze(Object.fromEntries(members)) as AnyType;
      this.#views.set(type, view);
      // A plugin may hand it back, as the type of what it sends.
      this.#views.set(view, view);
    }
    return view;
  }

  #codec(codec: Codec<unknown>): Codec<unknown> {
    let view = this.#codecs.get(codec);
    if (view === undefined) {
      view = Object.freeze({
        encode: (value: unknown) => codec.encode(value),
        decode: (bytes: Uint8Array) => codec.decode(bytes),
      });
      this.#codecs.set(codec, view);
    }
    return view;
  }
}

function isCodec(member: unknown): member is Codec<unknown> {
  return typeof (member as Partial<Codec<unknown>> | undefined)?.encode === "function";
}
