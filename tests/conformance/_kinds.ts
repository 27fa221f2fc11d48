/**
 * The kinds of descriptor that a scenario can ask for with `fd`.
 *
 * Happy path: {@linkcode openKind} gives a new descriptor of that kind, as a C program would get it: not close-on-exec.
 *
 * Unhappy paths: a kind that is not in the table is a {@linkcode ScenarioError}; what the system cannot make, a `SysError`.
 *
 * @module
 */
import {
  ARCH,
  closeFd,
  createSocket,
  filesystemType,
  listenOn,
  O_DIRECTORY,
  O_LARGEFILE,
  O_PATH,
  OwnedFd,
  pwrite,
  setCloexec,
  TMPFS_MAGIC,
} from "../../sys/mod.ts";
import { check } from "../../sys/errno.ts";
import { socketPair } from "../../sys/scm.ts";
import { call } from "../../sys/symbols.ts";
import {
  epoll,
  eventfd,
  inotify,
  memfdCreate,
  memfdSecret,
  open,
  pidfd,
  pipe,
  signalfd,
  timerfd,
} from "./_calls.ts";
import { ScenarioError } from "./_scenario.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TMPFILE = 0o20000000 | O_DIRECTORY;
const MFD_ALLOW_SEALING = 2;
const MFD_HUGETLB = 4;
const PRIVATE = 0o600;

/** Where the files of a tmpfs are made; whoever gives it removes it in the end. */
type Folder = string;

const KINDS: Readonly<Record<string, (folder: Folder) => number>> = {
  devfull: () => open("/dev/full", O_RDWR),
  devnull: () => open("/dev/null", O_RDWR),
  devrandom: () => open("/dev/random", O_RDONLY),
  devurandom: () => open("/dev/urandom", O_RDONLY),
  devzero: () => open("/dev/zero", O_RDWR),
  dir: () => open("/", O_RDONLY | O_DIRECTORY),
  epoll,
  eventfd,
  exe: () => open("/proc/self/exe", O_RDONLY),
  file: () => open(import.meta.filename ?? "/proc/self/exe", O_RDONLY),
  inotify,
  memfd: () => memfdCreate(nameOf("kind"), MFD_ALLOW_SEALING),
  memfd_hugetlb: () => memfdCreate(nameOf("huge"), MFD_HUGETLB),
  memfd_opath: () => again(memfdCreate(nameOf("opath"), 0), O_PATH),
  memfd_ro: () => again(written(memfdCreate(nameOf("ro"), 0), "readonly"), O_RDONLY),
  memfd_secret: memfdSecret,
  memfd_wo: () => again(written(memfdCreate(nameOf("wo"), 0), "writeonly"), O_WRONLY),
  opath: () => open("/", O_PATH),
  pidfd,
  pipe_r: () => one(pipe(), 0),
  pipe_w: () => one(pipe(), 1),
  procfile: () => open("/proc/self/status", O_RDONLY),
  ptmx: () => open("/dev/ptmx", O_RDWR),
  signalfd,
  sysfile: () => open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY),
  tcp: () => plain(createSocket("inet", "stream")),
  tcp_listen: () => listening(createSocket("inet", "stream")),
  timerfd,
  tmpfs_dir: (folder) => open(folder, O_RDONLY | O_DIRECTORY),
  tmpfs_linked: (folder) =>
    inTmpfs(open(`${folder}/${crypto.randomUUID()}`, O_RDWR | O_CREAT | O_EXCL, PRIVATE)),
  tmpfs_otmpfile: (folder) => inTmpfs(open(folder, O_RDWR | O_TMPFILE, PRIVATE)),
  tmpfs_unlinked: (folder) => {
    const path = `${folder}/${crypto.randomUUID()}`;
    const fd = inTmpfs(open(path, O_RDWR | O_CREAT | O_EXCL, PRIVATE));
    Deno.removeSync(path);
    return fd;
  },
  udp: () => plain(createSocket("inet", "datagram")),
  unix_dgram: () => plain(createSocket("unix", "datagram")),
  unix_listen: () => listening(named(createSocket("unix", "stream"))),
  unix_seqpacket: () => {
    const [ours, theirs] = socketPair();
    theirs[Symbol.dispose]();
    return plain(ours);
  },
  unix_stream: () => plain(createSocket("unix", "stream")),
};

/** All kinds. */
export const KIND_NAMES: readonly string[] = Object.keys(KINDS);

/**
 * Opens a descriptor of a kind.
 *
 * @param kind its name
 * @param folder a folder in a tmpfs
 * @returns the descriptor, the caller's
 * @throws {ScenarioError} an unknown kind, or no tmpfs there
 */
export function openKind(kind: string, folder: string): OwnedFd {
  const make = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (make === undefined) throw new ScenarioError(`there is no kind of descriptor "${kind}"`);
  return OwnedFd.adopt(make(folder));
}

function nameOf(kind: string): Uint8Array {
  return new TextEncoder().encode(kind);
}

function written(fd: number, text: string): number {
  pwrite(fd, new TextEncoder().encode(text), 0);
  return fd;
}

/** Opens what a descriptor refers to once more, in another way. */
function again(fd: number, flags: number): number {
  using owner = OwnedFd.adopt(fd);
  return open(`/proc/self/fd/${owner.fd}`, flags);
}

function one(ends: [number, number], at: 0 | 1): number {
  closeFd(ends[1 - at] as number);
  return ends[at];
}

function plain(socket: OwnedFd): number {
  setCloexec(socket.fd, false);
  return socket.release();
}

/** Has the system find an abstract address, which a socket of this family needs before it can listen. */
function named(socket: OwnedFd): OwnedFd {
  const family = new Uint8Array([1, 0]);
  check(call.bind(socket.fd, family, family.byteLength), "bind", socket.fd);
  return socket;
}

function listening(socket: OwnedFd): number {
  listenOn(socket.fd, 1);
  return plain(socket);
}

function inTmpfs(fd: number): number {
  if (filesystemType(fd) === TMPFS_MAGIC) return fd;
  closeFd(fd);
  throw new ScenarioError("a tmpfs is needed at /dev/shm");
}

/** `O_LARGEFILE` where the measurements were taken. */
const MEASURED_LARGEFILE = 0o100000;

/** Status flags as the machine of the measurements has them. */
export function measuredFlags(flags: number): number {
  if (ARCH === "x86_64") return flags;
  return (flags & O_LARGEFILE) === 0 ? flags : (flags & ~O_LARGEFILE) | MEASURED_LARGEFILE;
}
