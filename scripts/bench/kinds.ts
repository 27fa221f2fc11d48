/**
 * Descriptors of every kind, as the applications of `bench_kinds.ts` hold them.
 *
 * Happy path: {@linkcode KINDS} makes one of each; whoever gets it owns it.
 *
 * Unhappy path: what the system refuses is a `SysError`.
 *
 * @module
 */
import { bindSocket, createMemfd, createSocket, listenOn, openFile, OwnedFd } from "../../sys/mod.ts";
import { check } from "../../sys/errno.ts";
import { openPidfd } from "../../sys/pidfd.ts";
import { encodeMask, SIGNALS } from "../../sys/signals.ts";
import { call } from "../../sys/symbols.ts";

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_TMPFILE = 0o20200000;
const CLOCK_MONOTONIC = 1;
const IN_CREATE = 0x100;
const AF_UNIX = 1;
const SOCK_STREAM = 1;

/** What makes a descriptor, told its number, and a folder for what needs one. */
export type Maker = (index: number, folder: string) => OwnedFd;

/** Ends that nobody looks at, but which must stay open. */
const others: OwnedFd[] = [];

function owned(result: number, syscall: string): OwnedFd {
  return OwnedFd.adopt(check(result, syscall));
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** One of two ends; the other one stays open. */
function oneOf(ends: readonly [OwnedFd, OwnedFd]): OwnedFd {
  others.push(ends[1]);
  return ends[0];
}

function pipe(): [OwnedFd, OwnedFd] {
  const fds = new Int32Array(2);
  check(call.pipe2(fds, O_CLOEXEC | O_NONBLOCK), "pipe2");
  return [OwnedFd.adopt(fds[0]!), OwnedFd.adopt(fds[1]!)];
}

function epoll(): OwnedFd {
  return owned(call.epoll_create1(O_CLOEXEC), "epoll_create1");
}

/** All kinds by the names of their handlers. */
export const KINDS: Readonly<Record<string, Maker>> = {
  memfd: (index) => createMemfd(`bench-${index}`, { size: 4096 }),
  shm: () => owned(call.open(cString("/dev/shm"), O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600), "open"),
  file: (index, folder) => openFile(`${folder}/file-${index}`, { write: true, create: true }),
  directory: (_, folder) => openFile(folder, { directory: true }),
  listener() {
    const socket = createSocket("inet", "stream");
    bindSocket(socket.fd, { family: "inet", host: "127.0.0.1", port: 0 });
    listenOn(socket.fd, 16);
    return socket;
  },
  stream() {
    const fds = new Int32Array(2);
    check(call.socketpair(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0, fds), "socketpair");
    return oneOf([OwnedFd.adopt(fds[0]!), OwnedFd.adopt(fds[1]!)]);
  },
  datagram() {
    const socket = createSocket("inet", "datagram");
    bindSocket(socket.fd, { family: "inet", host: "127.0.0.1", port: 0 });
    return socket;
  },
  pipe: () => oneOf(pipe()),
  eventfd: (index) => owned(call.eventfd(index, O_CLOEXEC | O_NONBLOCK), "eventfd"),
  timerfd() {
    const timer = owned(call.timerfd_create(CLOCK_MONOTONIC, O_CLOEXEC | O_NONBLOCK), "timerfd_create");
    // An hour, and again each hour.
    const times = new Uint8Array(new BigInt64Array([3600n, 0n, 3600n, 0n]).buffer);
    check(call.timerfd_settime(timer.fd, 0, times, null), "timerfd_settime");
    return timer;
  },
  inotify(_, folder) {
    const watches = owned(call.inotify_init1(O_CLOEXEC | O_NONBLOCK), "inotify_init1");
    check(call.inotify_add_watch(watches.fd, cString(folder), IN_CREATE), "inotify_add_watch");
    return watches;
  },
  epoll,
  signalfd: () => owned(call.signalfd(-1, encodeMask([SIGNALS.SIGPWR]), O_CLOEXEC | O_NONBLOCK), "signalfd"),
  pidfd: () => openPidfd(Deno.pid),
  pty: () => owned(call.posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt"),
};
