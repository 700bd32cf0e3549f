/**
 * A module of a user whose options are the strictest: `exactOptionalPropertyTypes`, `isolatedDeclarations`, and
 * `skipLibCheck: false`. It exports what such users export, and is compiled against the packed package, every entry of it.
 *
 * @module
 */

import {
  type Answer,
  type Caller,
  caller,
  Client,
  type Codec,
  type ConnectedClient,
  type Contract,
  type DeclaresErrors,
  empty,
  type Handlers,
  implement,
  type Implementation,
  json,
  type Message,
  type MessageType,
  messageType,
  messageTypes,
  type Metadata,
  type OpenStream,
  type Replied,
  type RequestOptions,
  type RequestScope,
  type RequestType,
  Server,
  type StreamType,
  streamType,
  text,
} from "@veltix/core";
import { type DecodedFrame, type Frame, FrameDecoder, protocol, WIRE_LIMITS } from "@veltix/core/wire";

/** Passes a request on: the types of a wrapper of one's own. */
export async function ask<In, Out, ReplyIn, ReplyOut>(
  client: Client,
  type: RequestType<In, Out, ReplyIn, ReplyOut>,
  payload: In,
  signal?: AbortSignal,
): Promise<ReplyOut> {
  // A signal that may be undefined, as everywhere below.
  const options: RequestOptions = { signal, timeout: undefined };
  await client.connect({ signal });
  client.on("disconnect", () => {}, { signal });
  return await client.request(type, payload, options);
}

/** The same as a message. */
export function tell<In, Out, ReplyIn, ReplyOut>(
  client: Client,
  type: MessageType<In, Out, ReplyIn, ReplyOut>,
  payload: In,
): boolean {
  return client.send(type, payload);
}

/** Passes a request on, with the metadata and the time of the message that it is made for. */
export async function passOn(
  client: Client,
  message: Message<string, string>,
  meta?: Metadata,
): Promise<Answer<string>> {
  const within: RequestScope = message;
  return await client.exchange(UPPER, message.data, { within, meta, signal: undefined });
}

export const UPPER: MessageType<string, string, string, string> = messageType(200, "upper", text, text);
/** Opens a stream: the head of any type that has one. */
export function watch<Item>(
  client: Client,
  type: StreamType<string, string, Uint8Array, Uint8Array, Item>,
  head: string,
  signal?: AbortSignal,
): OpenStream<Uint8Array, Item, void> {
  return client.open(type, head, { signal, window: undefined });
}

export const FEED: StreamType<string, string, Uint8Array, Uint8Array, number> = streamType(220, "feed", {
  head: text,
  up: false,
  down: json<number>(),
});
export const codec: Codec<void> = empty;
export const contract: {
  readonly ping: MessageType<void>;
  readonly add: MessageType<number, number, string, string>;
} = messageTypes({ ping: empty, add: { code: 210, payload: json<number>(), reply: text } });

export const failing: MessageType<string, string, string, string> & DeclaresErrors<"busy"> = messageType(
  230,
  "failing",
  text,
  text,
  { errors: ["busy"] },
);

/** Makes the functions of any contract. */
export function connect<Types extends Contract>(types: Types, signal?: AbortSignal): Caller<Types> {
  return caller(new Client(), types, { signal, timeout: undefined });
}

export const server: Server = new Server();
export const handlers: Handlers<typeof contract, ConnectedClient> = { ping: () => {}, add: ({ data }) => `${data}` };
export const routes: Implementation = implement(server, contract, handlers, { routes: { add: { ordered: true } } });
export const api: Caller<typeof contract> = connect(contract);
server.route(UPPER, ({ data, reply }: Message<string, string>): Replied => reply(data));
server.broadcast(contract.ping);

export const feed: ReadableStream<number> = watch(new Client(), FEED, "a").readable;
export const answer: Promise<string> = ask(new Client(), UPPER, "a");
export const sum: Promise<string> = ask(new Client(), contract.add, 1);
export const total: Promise<string> = api.add(1, { signal: undefined });

export const largest: number = WIRE_LIMITS.maxMessageSize + WIRE_LIMITS.maxHandshakeReply +
  WIRE_LIMITS.maxHandshakeRequest + WIRE_LIMITS.maxEarly;
// @ts-expect-error: it is a number, and nothing else
export const wrong: string = WIRE_LIMITS.maxMessageSize;
export const frames: readonly DecodedFrame[] = new FrameDecoder(protocol("native")).push(new Uint8Array());
export const frame: Frame = { code: 200, content: new Uint8Array(), requestId: 0, flags: 0, sentAt: undefined };
