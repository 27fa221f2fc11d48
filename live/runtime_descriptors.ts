/**
 * Which open descriptors are the runtime's own: a heuristic, by what Deno 2.9.6 opens for itself.
 *
 * They could be told for certain by a list of what is open before the application's first line. That list costs 0.2 to
 * 0.5 ms with nothing open, and more with each connection, at every restart, for a question that is rarely asked. So
 * they are told by what they are, when somebody asks:
 *
 * 1. The event loop: an epoll set which watches an eventfd under the number 0 (its wake-up) and a unix socket under the
 *    number 1 (its signals), as the runtime's loop does; that eventfd, that socket, the duplicates, and the socket's other
 *    end. There is one for the main thread and one for each worker.
 * 2. Watches of `Deno.watchFs`: an epoll set of nothing but an inotify and an eventfd, and these two.
 * 3. Signal listeners: one pair of unix sockets without a name, in no epoll set, both ends here.
 * 4. Copies of the standard streams, at most one of each for every event loop: the same open file as 0, 1 or 2,
 *    close-on-exec.
 * 5. The databases of the runtime: its caches, and `localStorage`.
 *
 * What an application makes of the same kinds (by FFI) is taken for the runtime's only where it looks exactly like it, and
 * no more often than the runtime has it.
 *
 * @module
 */
import { CLOEXEC, type Look } from "./descriptor_look.ts";

/** The databases in which Deno keeps what it compiled and analysed, and what it stores for an application. */
const DATABASE =
  /\/(?:(?:dep_analysis|node_analysis|v8_code|fast_check|check)_cache_v\d+|location_data\/[0-9a-f]+\/\w+)(?:-wal|-shm|-journal)?$/;

const EPOLL = "anon_inode:[eventpoll]";
const EVENTFD = "anon_inode:[eventfd]";
const INOTIFY = /^anon_inode:\[?inotify\]?$/;
const STREAMS = ["stdin", "stdout", "stderr"];
const O_NONBLOCK = 0o4000;

/** A descriptor in an epoll set. */
interface Member {
  fd: number;
  /** The number under which its events are told. */
  data: bigint;
}

/**
 * Finds the runtime's own descriptors.
 *
 * @param looks all open descriptors but those that are known to be something else
 * @param sameOpenFile do two descriptors share an open file?
 * @returns what each of them is for, by number
 */
export function runtimeDescriptors(
  looks: readonly Look[],
  sameOpenFile: (a: number, b: number) => boolean,
): Map<number, string> {
  const own = new Map<number, string>();
  const byNumber = new Map(looks.map((look) => [look.fd, look]));
  const inSet = new Set<string>();
  const wakeUps = new Set<number>();
  for (const look of looks.filter(({ link }) => link === EPOLL)) {
    const members = membersOf(look);
    for (const { fd } of members) inSet.add(byNumber.get(fd)?.link ?? "");
    const loop = asEventLoop(members, byNumber);
    const watch = loop === null ? asWatch(members, byNumber) : null;
    if (loop !== null) {
      own.set(look.fd, "event loop");
      own.set(loop.wakeUp.fd, "event loop");
      wakeUps.add(loop.wakeUp.fd);
      for (const { fd } of looks.filter(({ link }) => link === loop.signals.link)) {
        own.set(fd, "signals of the event loop");
      }
      for (const other of looks.filter((other) => isOtherEnd(other, loop.signals))) {
        own.set(other.fd, "signals of the event loop");
      }
    }
    for (const fd of watch === null ? [] : [look.fd, ...watch]) own.set(fd, "Deno.watchFs");
  }
  const pair = signalPair(looks.filter(({ fd, link }) => !own.has(fd) && !inSet.has(link)));
  for (const fd of pair) own.set(fd, "signal listeners");
  // Every worker has copies of its own.
  const most = Math.max(1, wakeUps.size);
  const copies = [0, 0, 0];
  for (const { fd, flags, link } of looks) {
    if (fd <= 2 || own.has(fd)) continue;
    if (DATABASE.test(link)) own.set(fd, "database of the runtime");
    else if ((flags & CLOEXEC) !== 0) {
      // Where two streams are one open file, so are their copies.
      const isCopy = (stream: number): boolean =>
        byNumber.has(stream) && (copies[stream] ?? 0) < most && sameOpenFile(fd, stream);
      const stream = [0, 1, 2].find(isCopy);
      if (stream === undefined) continue;
      copies[stream] = (copies[stream] ?? 0) + 1;
      own.set(fd, `copy of ${STREAMS[stream]}`);
    }
  }
  return own;
}

/** What an epoll set watches, from the lines `tfd:` of its `/proc/self/fdinfo`. */
function membersOf({ info }: Look): Member[] {
  return (info.get("tfd") ?? "").split("\n").flatMap((line) => {
    const [, fd, data] = /^\s*(\d+)\s+events:\s*[0-9a-f]+\s+data:\s*([0-9a-f]+)/.exec(line) ?? [];
    return fd === undefined || data === undefined ? [] : [{ fd: Number(fd), data: BigInt(`0x${data}`) }];
  });
}

function asEventLoop(
  members: readonly Member[],
  looks: ReadonlyMap<number, Look>,
): { wakeUp: Look; signals: Look } | null {
  const under = (data: bigint): Look | undefined => {
    const member = members.find((each) => each.data === data);
    return member === undefined ? undefined : looks.get(member.fd);
  };
  const [wakeUp, signals] = [under(0n), under(1n)];
  if (wakeUp?.link !== EVENTFD || signals === undefined || !isUnnamedStream(signals)) return null;
  return { wakeUp, signals };
}

function asWatch(members: readonly Member[], looks: ReadonlyMap<number, Look>): number[] | null {
  const links = members.map(({ fd }) => looks.get(fd)?.link ?? "");
  const isWatch = links.length === 2 && links.some((link) => INOTIFY.test(link)) && links.includes(EVENTFD);
  return isWatch ? members.map(({ fd }) => fd) : null;
}

/** The two ends of a pair are made one after the other: their inode numbers, and mostly their own, are neighbours. */
function isOtherEnd(look: Look, end: Look): boolean {
  return look.link !== end.link && isUnnamedStream(look) && sameFlags(look, end) &&
    Math.abs(inodeOf(look) - inodeOf(end)) === 1;
}

function signalPair(looks: readonly Look[]): number[] {
  const ends = looks.filter((look) =>
    isUnnamedStream(look) && (look.flags & CLOEXEC) !== 0 && (look.flags & O_NONBLOCK) === 0
  );
  for (const end of ends) {
    const other = ends.find((other) => isOtherEnd(other, end));
    if (other !== undefined) return [end.fd, other.fd];
  }
  return [];
}

function isUnnamedStream({ socket }: Look): boolean {
  return socket !== null && socket.type === 1 && !socket.listens && socket.local?.family === "unnamed" &&
    socket.peer?.family === "unnamed";
}

function sameFlags(a: Look, b: Look): boolean {
  return a.flags === b.flags;
}

function inodeOf({ link }: Look): number {
  return Number(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? Number.NaN);
}
