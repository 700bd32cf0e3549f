/**
 * Streams by gRPC: `@grpc/grpc-js` without TLS. Messages are bytes as they are, so that nothing is spent on Protocol Buffers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { once } from "node:events";
// @ts-types="./grpc.d.ts"
import {
  type Call,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
} from "@grpc/grpc-js";
import { Arrivals, payloadsOf, type StreamPeer, type StreamSubject, type Transfer } from "../streams/subject.ts";

const NOTHING = new Uint8Array(0);
const TIMEOUT = 30_000;

const serialize = (value: Uint8Array): Buffer => Buffer.from(value.buffer, value.byteOffset, value.length);
const deserialize = (bytes: Buffer): Uint8Array => bytes;

const method = (name: "up" | "down"): MethodDefinition => ({
  path: `/bench.Streams/${name}`,
  requestStream: name === "up",
  responseStream: name === "down",
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});
const [UP, DOWN] = [method("up"), method("down")];

/** See the module. */
export const grpc: StreamSubject = {
  items: true,
  serve(): Promise<number> {
    const server = new Server();
    server.addService({ up: UP, down: DOWN }, {
      up(call, done): void {
        const transfer: Transfer = JSON.parse(String(call.metadata.get("transfer")[0]));
        void receiveAll(call, transfer).then(() => done(null, NOTHING));
      },
      down: (call) => void sendAll(call, JSON.parse(Buffer.from(call.request).toString())),
    });
    return new Promise((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  },
  async connect(port): Promise<StreamPeer> {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + TIMEOUT, (error) => error === undefined ? resolve() : reject(error));
    });
    return {
      async run(transfer): Promise<void> {
        const text = JSON.stringify(transfer);
        if (transfer.direction === "down") {
          const call = client.makeServerStreamRequest(DOWN.path, serialize, deserialize, Buffer.from(text));
          await receiveAll(call, transfer);
          return;
        }
        const metadata = new Metadata();
        metadata.set("transfer", text);
        await new Promise<void>((resolve, reject) => {
          const done = (error: Error | null): void => error === null ? resolve() : reject(error);
          const call = client.makeClientStreamRequest(UP.path, serialize, deserialize, metadata, done);
          void sendAll(call, transfer);
        });
      },
      close(): Promise<void> {
        client.close();
        return Promise.resolve();
      },
    };
  },
};

async function sendAll(call: Call, transfer: Transfer): Promise<void> {
  const payloads = payloadsOf(transfer);
  for (let i = 0; i < transfer.count; i++) if (!call.write(payloads.next())) await once(call, "drain");
  call.end();
}

async function receiveAll(call: Call, transfer: Transfer): Promise<void> {
  const arrivals = new Arrivals(transfer);
  call.on("data", (content) => void arrivals.take(content));
  await once(call, "end");
  arrivals.confirm();
}
