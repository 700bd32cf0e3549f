/**
 * Streams by HTTP/2: `node:http2` without TLS, one request for each transfer, and windows that do not hold it back.
 *
 * @module
 */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type ServerHttp2Stream,
} from "node:http2";
import { Arrivals, payloadsOf, type StreamPeer, type StreamSubject, type Transfer } from "../streams/subject.ts";

const WINDOW = 16 * 1024 * 1024;
const OPTIONS = { settings: { initialWindowSize: WINDOW } };

/** See the module. */
export const http2: StreamSubject = {
  items: false,
  async serve(): Promise<number> {
    const server = createServer(OPTIONS);
    server.on("session", (session) => session.setLocalWindowSize(WINDOW));
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      const transfer: Transfer = JSON.parse(String(headers["x-transfer"]));
      stream.respond({ ":status": 200 });
      if (transfer.direction === "down") void sendAll(stream, transfer);
      else void receiveAll(stream, transfer).then(() => stream.end());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
  async connect(port): Promise<StreamPeer> {
    const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`, OPTIONS);
    await once(session, "connect");
    session.setLocalWindowSize(WINDOW);
    return {
      async run(transfer): Promise<void> {
        const stream = session.request({ ":method": "POST", "x-transfer": JSON.stringify(transfer) });
        if (transfer.direction === "down") {
          stream.end();
          await receiveAll(stream, transfer);
        } else {
          const ended = once(stream, "end");
          stream.resume();
          await sendAll(stream, transfer);
          await ended;
        }
      },
      async close(): Promise<void> {
        await new Promise<void>((resolve) => session.close(resolve));
      },
    };
  },
};

async function sendAll(stream: ClientHttp2Stream | ServerHttp2Stream, transfer: Transfer): Promise<void> {
  const payloads = payloadsOf(transfer);
  for (let i = 0; i < transfer.count; i++) if (!stream.write(payloads.next())) await once(stream, "drain");
  stream.end();
}

async function receiveAll(stream: ClientHttp2Stream | ServerHttp2Stream, transfer: Transfer): Promise<void> {
  const arrivals = new Arrivals(transfer);
  stream.on("data", (chunk) => void arrivals.take(chunk));
  await once(stream, "end");
  arrivals.confirm();
}
