/**
 * An application that receives datagrams on UDP (IPv4, IPv6, connected) and unix sockets (path, abstract), writes down what
 * it received, and answers each with the label of its build. A build of it is a module that calls
 * {@linkcode runDatagramApp}; when it is ready it says where it receives, as a line of JSON.
 *
 * @module
 */
import type { DatagramAddress } from "../../live/streams/datagram_address.ts";
import type { DatagramOptions } from "../../live/streams/datagram.ts";
import type { DatagramSocket } from "../../live/streams/datagram_socket.ts";
import { open } from "../../mod.ts";

/** What a build is to do. */
export interface DatagramAppOptions {
  /** Tells builds apart. */
  label: string;
  /** A directory for the log and a unix socket; its path is also the abstract name. */
  directory: string;
  /** The port to which the connected socket is connected. */
  peer: number;
  /** Throw when everything is taken back. */
  fails?: boolean;
  /** Receive elsewhere on IPv4, from everyone on the connected socket, and not at all on the abstract name. */
  reshaped?: boolean;
  /** Milliseconds that quiescing may take. */
  quiesceTimeoutMs?: number;
  /** What happens to handlers that take longer. */
  overdue?: "refuse" | "close";
}

/** Where the application receives, by the name of the socket. */
export type DatagramAppReport = Record<string, { address: DatagramAddress; peer: DatagramAddress | null }>;

/** Room for what waits during a pause, where the system's limit allows it. */
const ROOM = 1_000_000;

/** Runs a build. */
export async function runDatagramApp(options: DatagramAppOptions): Promise<void> {
  const {
    label,
    directory,
    peer,
    fails = false,
    reshaped = false,
    quiesceTimeoutMs = 5000,
    overdue = "refuse",
  } = options;
  const live = await open({ quiesceTimeoutMs });
  const log = await live.file("log", `${directory}/received.log`, { append: true, create: true });
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();

  /** Opens a socket; where a queue is full, the answer is sent again, and those behind it wait. */
  const receive = async (
    name: string,
    address: DatagramAddress,
    more: Partial<DatagramOptions> = {},
  ): Promise<[string, DatagramSocket]> => {
    let last: Promise<void> = Promise.resolve();
    const socket = await live.datagram(name, address, {
      overdue,
      receiveBufferBytes: ROOM,
      ...more,
      message(bytes, from, socket) {
        const text = decoder.decode(bytes);
        log.write(encoder.encode(`${name} ${text}\n`));
        if (from === null) return;
        const answer = encoder.encode(`${label} ${text}`);
        const [, gate] = /^until (.*)/.exec(text) ?? [];
        return last = last.then(async () => {
          while (gate !== undefined && !exists(`${directory}/${gate}`)) await later(5);
          while (!socket.send(answer, from)) await later(1);
        });
      },
    });
    return [name, socket];
  };
  const connect = { hostname: "127.0.0.1", port: peer };
  const sockets = new Map([
    await receive("v4", { hostname: reshaped ? "127.0.0.2" : "127.0.0.1", port: 0 }),
    await receive("v6", { hostname: "::1", port: 0 }),
    await receive("peer", { hostname: "0.0.0.0", port: 0 }, reshaped ? {} : { connect }),
    await receive("path", { path: `${directory}/datagrams` }),
  ]);
  if (!reshaped) sockets.set(...await receive("abstract", { path: `@${directory}` }));
  live.on("quiesce", () => console.log("quiescing"));
  // Said before it is ready, and heard when it is: a build that fails is not heard at all.
  sockets.get("peer")?.send(encoder.encode(`hello ${label}`), connect);
  if (fails && !live.checking) throw new Error("this build fails");
  await live.ready();
  const report = [...sockets].map(([name, { address, peer }]) => [name, { address, peer }]);
  console.log(JSON.stringify(Object.fromEntries(report)));
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
