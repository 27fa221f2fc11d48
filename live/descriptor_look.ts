/**
 * One look at an open descriptor of this process: what the classification goes by.
 *
 * @module
 */
import {
  describeFd,
  fdInfo,
  fdLink,
  formatAddress,
  fstat,
  getIntOption,
  getpeername,
  getsockname,
  SOCKET_OPTIONS,
  type SocketAddress,
  SysError,
} from "../sys/mod.ts";

/** What a socket is. */
export interface SocketLook {
  /** Does it listen? */
  listens: boolean;
  /** Its type, as in socket(2): 1 stream, 2 datagram. */
  type: number;
  /** Its own address, or null where there is none that can be told. */
  local: SocketAddress | null;
  /** Who is connected to it, or null. */
  peer: SocketAddress | null;
}

/** What is known of a descriptor. */
export interface Look {
  /** Its number. */
  fd: number;
  /** Its link in `/proc/self/fd`. */
  link: string;
  /** Status flags of open(2), in which `O_CLOEXEC` says whether an exec closes it. */
  flags: number;
  /** Device and inode: what shares an open file shares them. */
  inode: string;
  /** What `/proc/self/fdinfo` says, by name. */
  info: ReadonlyMap<string, string>;
  /** What kind of socket it is, or null for no socket. */
  socket: SocketLook | null;
}

/** `O_CLOEXEC`. */
export const CLOEXEC = 0o2000000;

/**
 * Looks at a descriptor.
 *
 * @param fd its number, borrowed
 * @returns what is known, or null when it is closed by now
 */
export function lookAt(fd: number): Look | null {
  try {
    const { dev, ino, kind } = fstat(fd);
    const info = fdInfo(fd);
    const flags = Number.parseInt(info.get("flags") ?? "0", 8);
    return {
      fd,
      link: fdLink(fd),
      flags,
      inode: `${dev}:${ino}`,
      info,
      socket: kind === "socket" ? lookAtSocket(fd) : null,
    };
  } catch (error) {
    if (isClosed(error)) return null;
    throw error;
  }
}

/** Is this the error of a descriptor that was closed meanwhile? */
export function isClosed(error: unknown): boolean {
  return error instanceof SysError && (error.code === "EBADF" || error.code === "ENOENT");
}

/** What a descriptor is, as a noun with its article. */
export function wordsFor({ fd, link, socket }: Look): string {
  if (link.startsWith("/memfd:")) {
    return `a memfd (${link.slice("/memfd:".length).replace(" (deleted)", "")})`;
  }
  if (socket === null) return describeFd(fd);
  const name = socket.local === null ? "" : formatAddress(socket.local);
  if (socket.listens) return `a listening socket (${name})`;
  const nouns: Readonly<Record<number, string>> = { 1: "a stream socket", 2: "a datagram socket" };
  const noun = nouns[socket.type] ?? "a socket";
  const peer = socket.peer === null ? "" : formatAddress(socket.peer);
  const ends = [name, peer].filter((end) => end !== "" && end !== "unix:");
  return ends.length === 0 ? noun : `${noun} (${ends.join(" to ")})`;
}

function lookAtSocket(fd: number): SocketLook {
  return {
    listens: getIntOption(fd, ...SOCKET_OPTIONS.ACCEPTCONN) !== 0,
    type: getIntOption(fd, ...SOCKET_OPTIONS.TYPE),
    local: addressOf(() => getsockname(fd)),
    peer: addressOf(() => getpeername(fd)),
  };
}

/** Families that are not known here have addresses that cannot be told; who is not connected has no peer. */
function addressOf(ask: () => SocketAddress | null): SocketAddress | null {
  try {
    return ask();
  } catch (error) {
    if (isClosed(error)) throw error;
    return null;
  }
}
