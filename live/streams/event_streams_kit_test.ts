/** A server with a feed of event streams, for the tests of this folder. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { setIntOption, SOCKET_OPTIONS } from "../../sys/mod.ts";
import { connectSocket, createSocket } from "../../sys/socket.ts";
import { Conversations } from "../http/conversations.ts";
import { type FetchHandler, requestListener } from "../http/fetch_bridge.ts";
import type { Channel } from "../port.ts";
import { type EventFeed, EventStreams, type EventStreamsOptions } from "./event_streams.ts";
import type { EventStream } from "./event_stream.ts";
import { Peer, waitFor } from "./helpers_test.ts";

export const GET = "GET /events HTTP/1.1\r\nhost: x\r\n\r\n";

/** The head of a stream. */
export const HEAD = [
  "HTTP/1.1 200 OK",
  "cache-control: no-store, no-transform",
  "content-type: text/event-stream",
  "x-accel-buffering: no",
  "connection: close",
];

/** What is kept about a client. */
export interface State {
  last: number;
}

/** A server with a feed, as an application has them. */
export class Host implements AsyncDisposable {
  readonly server: Server;
  readonly feed: EventStreams<State>;
  readonly channel: Channel;
  readonly conversations: Conversations;
  readonly opened: { stream: EventStream<State>; resumed: boolean }[] = [];

  constructor(
    listener: (feed: EventFeed<State>) => (req: IncomingMessage, res: ServerResponse) => void,
    options: EventStreamsOptions<State> = {},
    before?: Host,
  ) {
    this.feed = new EventStreams("feed", {
      open: (stream, resumed) => void this.opened.push({ stream, resumed }),
      ...options,
    });
    this.server = createServer(listener(this.feed));
    this.conversations = new Conversations(this.server);
    this.channel = this.feed.channel(before?.channel.connections.takeDescriptors() ?? []);
  }

  static serving(
    options: EventStreamsOptions<State> = {},
    handler?: (feed: EventFeed<State>) => FetchHandler,
    before?: Host,
  ): Host {
    const other: FetchHandler = () => new Response("hello\n");
    return new Host(
      (feed) =>
        requestListener(
          handler?.(feed) ??
            ((request, info) =>
              request.url.endsWith("/events") ? feed.respond(request, { last: 0 }) : other(request, info)),
        ),
      options,
      before,
    );
  }

  async listen(): Promise<this> {
    this.channel.open();
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  connect(text = "", receiveBuffer = 0): Peer {
    const fd = createSocket("inet", "stream");
    if (receiveBuffer > 0) setIntOption(fd.fd, ...SOCKET_OPTIONS.RCVBUF, receiveBuffer);
    connectSocket(fd.fd, { family: "inet", host: "127.0.0.1", port: this.port });
    const peer = new Peer(fd);
    if (text !== "") setTimeout(() => peer.write(text), 1);
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.channel.connections as unknown as Iterable<{ destroy(): void }>) {
      stream.destroy();
    }
    this.server.closeAllConnections();
    if (this.server.listening) await new Promise((resolve) => this.server.close(resolve));
  }
}

export const decoder = new TextDecoder();

/** Reads until the text ends so. */
export async function readUntil(peer: Peer, end: string): Promise<string> {
  let text = "";
  await waitFor(() => {
    const bytes = peer.readSome();
    if (bytes === null) throw new Error("the connection has ended");
    text += decoder.decode(bytes);
    return text.endsWith(end);
  }, { what: `${JSON.stringify(end)} behind ${JSON.stringify(text.slice(-200))}`, intervalMs: 1 });
  return text;
}

/** The lines of a head in a fixed order, without the date. */
export function linesOf(head: string): string[] {
  return head.trimEnd().split("\r\n").filter((line) => !/^date: /i.test(line)).sort();
}
