/**
 * An application with protocols of its own, on TCP and unix sockets. A build of it is a module that calls
 * {@linkcode runRawApp}; when it is ready it says where it listens, as a line of JSON.
 *
 * - `echo`, `path`, `abstract`: whatever comes goes back
 * - `lines`: each line is answered with the label of the build, the number of the line on this connection, and the line
 * - `source`: a line with a number is answered with so many bytes of a pattern, and the end; no line, with the end
 * - `corked`: one byte corks the stream, which then cannot cross, until a file `gate` is there
 *
 * @module
 */
import { pattern } from "../../live/streams/helpers_test.ts";
import type { ListenOptions, RawServer } from "../../live/streams/listen.ts";
import type { ServerAddress } from "../../live/address.ts";
import { open, type StateValue } from "../../mod.ts";
import { gate as isThere } from "./_http_routes.ts";

/** What a build is to do. */
export interface RawAppOptions {
  /** Tells builds apart. */
  label: string;
  /** A directory for a unix socket and gates; its path is also the abstract name. */
  directory: string;
  /** Where to fail, for real. */
  fails?: "open" | "ready";
  /** Not ready before a file of this name is there; says `in probation` before. */
  gate?: string;
  /** The version of the states of `lines`. */
  version?: number;
  /** The versions that are read. */
  reads?: readonly [number, number];
  /** Can the states of `lines` be saved? */
  unsavable?: boolean;
  /** Milliseconds that quiescing may take. */
  quiesceTimeoutMs?: number;
}

/** What a build says when it is ready. */
export interface RawAppReport {
  /** The build. */
  label: string;
  /** Where it listens, by the name of the server. */
  addresses: Record<string, ServerAddress>;
  /** How many connections were there before it was ready, by the name of the server. */
  resumed: Record<string, number>;
}

/** What is kept about a connection of `lines`. */
interface Counter {
  count: number;
  unsavable?: () => void;
}

/** Where TCP servers listen. */
const LOOPBACK = { hostname: "127.0.0.1", port: 0 };

/** Runs a build. */
export async function runRawApp(options: RawAppOptions): Promise<void> {
  const { label, directory, fails, gate, quiesceTimeoutMs = 10_000 } = options;
  const live = await open({ quiesceTimeoutMs });
  const resumed: Record<string, number> = {};
  const servers = new Map<string, RawServer<unknown>>();
  const listen = async <State>(
    name: string,
    address: ServerAddress,
    more: ListenOptions<State>,
  ): Promise<void> => {
    const server = await live.listen<State>(name, address, {
      ...more,
      open(connection, isResumed) {
        if (isResumed !== connection.resumed) throw new Error("told two different things");
        if (isResumed) resumed[name] = (resumed[name] ?? 0) + 1;
        more.open(connection, isResumed);
      },
    });
    servers.set(name, server as RawServer<unknown>);
  };

  const echo: ListenOptions<undefined> = {
    allowHalfOpen: true,
    open: ({ socket }) => void socket.pipe(socket),
  };
  await listen("echo", LOOPBACK, echo);
  await listen("path", { path: `${directory}/echo` }, echo);
  await listen("abstract", { path: `@${directory}` }, { open: ({ socket }) => void socket.pipe(socket) });
  await listen<Counter>("lines", LOOPBACK, linesOf(options));
  await listen("source", LOOPBACK, {
    allowHalfOpen: true,
    open(connection) {
      const { socket } = connection;
      socket.on("end", () => socket.end());
      socket.on("data", (bytes: Uint8Array) => {
        connection.unread = new Uint8Array([...connection.unread, ...bytes]);
        const text = new TextDecoder().decode(connection.unread);
        if (!text.endsWith("\n")) return;
        connection.unread = new Uint8Array();
        socket.end(pattern(0, Number(text)));
      });
    },
  });
  await listen("corked", LOOPBACK, {
    open({ socket }) {
      socket.on("data", async (bytes) => {
        socket.cork();
        socket.write(bytes);
        console.log("corked");
        await isThere(`${directory}/gate`);
        socket.uncork();
      });
    },
  });
  live.on("quiesce", () => console.log("quiescing"));
  if (!live.checking) {
    if (fails === "ready") throw new Error("this build fails");
    if (gate !== undefined) {
      console.log("in probation");
      await isThere(`${directory}/${gate}`);
    }
  }
  await live.ready();
  const addresses = Object.fromEntries([...servers].map(([name, { address }]) => [name, address]));
  console.log(JSON.stringify({ label, addresses, resumed } satisfies RawAppReport));
}

/** Lines that are counted for each connection; half a line is left for the next build. */
function linesOf(
  { label, fails, version = 1, reads, unsavable = false }: RawAppOptions,
): ListenOptions<Counter> {
  return {
    version,
    ...(reads === undefined ? {} : { reads }),
    initial: () => ({ count: 0 }),
    load: (value) => value as StateValue & Counter,
    open(connection, isResumed) {
      if (isResumed && fails !== undefined) {
        // Nobody may ever see that.
        connection.socket.write(`${label} was here\n`);
        connection.state.count += 1000;
        connection.unread = new TextEncoder().encode("spoilt");
        if (fails === "open") throw new Error("this build fails in open");
      }
      if (unsavable) connection.state.unsavable = () => {};
      connection.socket.on("data", (bytes: Uint8Array) => {
        const all = new Uint8Array([...connection.unread, ...bytes]);
        const end = all.lastIndexOf(10) + 1;
        connection.unread = all.slice(end);
        const lines = new TextDecoder().decode(all.subarray(0, end)).split("\n").slice(0, -1);
        for (const line of lines) connection.socket.write(`${label} ${++connection.state.count} ${line}\n`);
      });
    },
  };
}
