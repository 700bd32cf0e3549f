/**
 * What the first bytes of a server say about it.
 *
 * @module
 */

import { HandshakeError } from "../../errors.ts";
import { objectMember, printable } from "../../base/untrusted.ts";
import { WIRE_LIMITS } from "../../wire/frame.ts";
import { JsonReader } from "../../wire/handshake/json_reader.ts";
import { named, releaseMember, versionMember } from "../../wire/handshake/messages.ts";
import { refusalIn } from "../../wire/handshake/refusal.ts";
import { adviceFor, describeBytes, detectHello, isNoise, isTls } from "../../wire/python/hello.ts";

/** A server, by its first bytes. */
export interface Greeted {
  /** What it is. `other` is no Veltix server, `silent` has said nothing. */
  readonly kind: "encrypted" | "native" | "other" | "python" | "refused" | "silent" | "tls";
  /** It for people. */
  readonly detail: string;
  /** What to do if that is not what was expected. */
  readonly advice?: string | undefined;
  /** Its clock, in milliseconds since 1970, if it has said what time it is. */
  readonly time?: number | undefined;
}

/** Returns what a server is that says this first. */
export function greetingOf(bytes: Uint8Array): Greeted {
  if (bytes.length === 0) return { kind: "silent", detail: "it says nothing until it is asked" };
  if (isTls(bytes)) return { kind: "tls", detail: describeBytes(bytes), advice: "add --tls" };
  if (isNoise(bytes)) return { kind: "encrypted", detail: "an encrypted Veltix server" };
  try {
    return (bytes[2] === 0x7b ? jsonGreeting(bytes) : helloGreeting(bytes)) ?? other(bytes);
  } catch (error) {
    if (error instanceof HandshakeError && error.refusal !== undefined) {
      const { code, message, retryAfter } = error.refusal;
      const wait = retryAfter === undefined ? "try again later" : `try again in ${retryAfter} ms`;
      const advice = code === "too-many-connections" ? wait : undefined;
      return { kind: "refused", detail: `a Veltix server that refuses: ${message} (${code})`, advice };
    }
    return other(bytes);
  }
}

function jsonGreeting(bytes: Uint8Array): Greeted | undefined {
  const message = new JsonReader(WIRE_LIMITS.maxHandshakeReply).push(bytes)?.message;
  if (message === undefined) return { kind: "other", detail: "the beginning of a JSON handshake, and no more" };
  const refusal = refusalIn(message, true);
  if (refusal !== undefined) throw refusal;
  const release = named(releaseMember(message) ?? "");
  const native = objectMember(objectMember(message, "meta") ?? {}, "native");
  if (native === undefined) {
    const version = versionMember(message);
    const speaks = version === undefined ? "" : `, version "${printable(version)}" of the protocol`;
    return { kind: "python", detail: `a Python Veltix server of release ${release}${speaks}` };
  }
  const features = Object.keys(objectMember(native, "features") ?? {}).map(printable);
  const offers = features.length === 0 ? "" : `, with ${features.join(", ")}`;
  return { kind: "native", detail: `a native Veltix server${offers}; for Python it is release ${release}` };
}

function helloGreeting(bytes: Uint8Array): Greeted | undefined {
  const hello = detectHello(bytes);
  if (hello === undefined) return undefined;
  return {
    kind: "python",
    detail: `a Python Veltix server of release ${hello.release}`,
    time: hello.frame.sentAt,
  };
}

function other(bytes: Uint8Array): Greeted {
  return { kind: "other", detail: `${describeBytes(bytes)}: this is no Veltix server`, advice: adviceFor(bytes) };
}
