/**
 * One more place where this folder looks behind `node:http` of the runtime: the server's list of connections whose request
 * has begun, by which it finds those that take too long.
 *
 * The list is a `Map` from which each request is removed when it is answered. The tables that a `Map` leaves behind as it is
 * written to point to the ones after them and to what was in them: once one of them is old, a quick collection keeps all
 * requests since, with everything that hangs on them, and a busy server stops for ten milliseconds again and again. So
 * a connection stays in the list until it closes, and says itself that nothing has begun on it.
 *
 * Happy path: {@linkcode steadyList} with the first connection of a server; {@linkcode forgetStart} for an adopted one.
 *
 * Unhappy path: a runtime whose list is another one: nothing is changed.
 *
 * @module
 */
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";

/** What the runtime notes of a connection. */
interface Begun {
  /** Has the head come in whole? */
  headersCompleted: boolean;
  /** When its request began (ms); so late that it never takes too long where none has. */
  startTime: number;
  /** The request, or null. */
  req: IncomingMessage | null;
}

/** The list. */
interface BegunList {
  _active: Map<Socket, Begun>;
  /** A request begins. */
  pushActive(socket: Socket): void;
  /** It is over. */
  popActive(socket: Socket): void;
  /** It is over, if it is this one. */
  popActiveIfReq(socket: Socket, req: IncomingMessage): void;
  /** Its head has come in whole. */
  markHeadersCompleted(socket: Socket, req: IncomingMessage): void;
  /** Those whose head, or whose request, takes longer than that (ms). */
  expired(headersTimeout: number, requestTimeout: number): unknown[];
}

/**
 * Lets connections stay in the list of a server.
 *
 * @param server a `node:http` server that has a connection, or has had one
 */
export function steadyList(server: Server): void {
  const list = listOf(server);
  if (list !== undefined && !steadied.has(list) && isAsExpected(list)) steady(list as BegunList);
}

const steadied = new WeakSet<object>();

function steady(list: BegunList): void {
  steadied.add(list);
  const begun = list._active;
  const begin = (entry: Begun): void => {
    entry.headersCompleted = false;
    entry.startTime = performance.now();
    entry.req = null;
  };
  const rest = (entry: Begun | undefined): void => {
    if (entry === undefined) return;
    entry.headersCompleted = true;
    entry.startTime = Infinity;
    entry.req = null;
  };
  const original = list.pushActive;
  // Own properties shadow the methods of the class.
  list.pushActive = function (this: unknown, socket: Socket): void {
    const entry = begun.get(socket);
    if (entry === undefined) original.call(list, socket);
    else begin(entry);
  };
  list.popActive = (socket: Socket): void => rest(begun.get(socket));
  list.popActiveIfReq = (socket: Socket, req: IncomingMessage): void => {
    const entry = begun.get(socket);
    if (entry?.req === req) rest(entry);
  };
}

/**
 * Tells a server that nothing has begun on a connection. The runtime counts a new connection's `headersTimeout` from its
 * start; an adopted one is idle, perhaps for long, and must not be answered with a 408 that nobody has asked for.
 *
 * @param server a `node:http` server
 * @param socket a connection it was given and has read nothing from
 */
export function forgetStart(server: Server, socket: Socket): void {
  listOf(server)?.popActive?.(socket);
}

let key: symbol | undefined;

function listOf(server: Server): Partial<BegunList> | undefined {
  // The same symbol for every server, put there with its first connection.
  key ??= Object.getOwnPropertySymbols(server).find(({ description }) =>
    description === "http.server.connections"
  );
  return key === undefined ? undefined : (server as unknown as Record<symbol, Partial<BegunList>>)[key];
}

let expected: boolean | undefined;

/** Tried once, on a list of its own. */
function isAsExpected(list: Partial<BegunList>): boolean {
  expected ??= (() => {
    try {
      const probe = new (list.constructor as { new (): BegunList })();
      steady(probe);
      const [socket, req] = [{} as Socket, {} as IncomingMessage];
      const found: number[] = [];
      const look = (): unknown => found.push(probe.expired(1, 1).length);
      for (let round = 0; round < 2; round++) {
        probe.pushActive(socket);
        const entry = probe._active.get(socket)!;
        entry.startTime -= 10;
        look();
        probe.markHeadersCompleted(socket, req);
        look();
        if (round === 0) probe.popActive(socket);
        else probe.popActiveIfReq(socket, req);
        look();
      }
      return String(found) === "1,1,0,1,1,0";
    } catch {
      return false;
    }
  })();
  return expected;
}
