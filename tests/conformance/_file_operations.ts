/**
 * The operations on files and other descriptors, by the same system calls that the kernel's probe made.
 *
 * Happy path: the answer has the members that the measurements have. Unhappy path: the error of the system call.
 *
 * @module
 */
import {
  addSeals,
  ERRNO,
  fdLink,
  fstat,
  getCloexec,
  getFlags,
  OwnedFd,
  read,
  sameOpenFile,
  seek,
  SysError,
  write,
} from "../../sys/mod.ts";
import {
  blocksOf,
  duplicate,
  fallocate,
  mapShared,
  memfdCreate,
  open,
  poke,
  pread,
  pwrite,
  truncate,
} from "./_calls.ts";
import { type Operation, target } from "./_context.ts";
import { decodeText, encodeText, fillBytes, Fnv } from "./_encoding.ts";
import { measuredFlags, openKind } from "./_kinds.ts";
import { underLimit } from "./_limit.ts";
import { inodeOf, sealsOf } from "./_memory.ts";
import { type Args, ScenarioError } from "./_scenario.ts";
import { Shared } from "./_world.ts";

const MFD_ALLOW_SEALING = 2;
const O_RDWR = 2;
/** How much is read at once to be hashed. */
const CHUNK = 1 << 20;

/** The operations, by name. */
export const FILE_OPERATIONS: Readonly<Record<string, Operation>> = {
  memfd({ world }, args) {
    using fd = underLimit(world, () => makeMemfd(args));
    fillMemfd(fd.fd, args);
    world.bind(target(args), new Shared({ kind: "file", fd: moved(fd), named: args.has("name") }));
  },
  fd({ world, folder }, args) {
    const fd = underLimit(world, () => openKind(args.text("kind"), folder));
    world.bind(target(args), new Shared({ kind: "file", fd, named: false }));
  },
  read({ world }, args) {
    const fd = world.file(args.text("fd"));
    const bytes = new Uint8Array(args.number("len", CHUNK));
    const n = args.has("at") ? pread(fd, bytes, args.number("at")) : read(fd, bytes);
    return { n, data: encodeText(bytes.subarray(0, n)) };
  },
  write({ world }, args) {
    const fd = world.file(args.text("fd"));
    return { n: writeAt(fd, args, args.bytes("data")) };
  },
  lseek({ world }, args) {
    const whence = whenceOf(args);
    return { pos: seek(world.file(args.text("fd")), args.number("offset", 0), whence) };
  },
  ftruncate: ({ world }, args) => truncate(world.file(args.text("fd")), args.number("bytes", 0)),
  fallocate({ world }, args) {
    const fd = world.file(args.text("fd"));
    fallocate(fd, args.number("mode", 0), args.number("offset", 0), args.number("len"));
  },
  seal({ world, memory }, args) {
    const fd = world.file(args.text("fd"));
    addSeals(fd, args.number("seals", 0));
    memory.sealed(fd);
  },
  mmap({ world }, args) {
    const name = args.text("fd");
    const fd = world.file(name);
    const length = args.number("len", fstat(fd).size);
    world.mapped.set(name, { address: mapShared(fd, length), length, inode: inodeOf(fd) });
  },
  poke({ world }, args) {
    const name = args.text("fd");
    const mapping = world.mapped.get(name);
    if (mapping === undefined) {
      world.shared(name);
      throw new SysError("poke", ERRNO.EINVAL, `"${name}", which is not mapped`);
    }
    const bytes = args.bytes("data");
    const offset = args.number("offset", args.number("at", 0));
    if (offset < 0 || offset + bytes.length > mapping.length) {
      throw new ScenarioError(`the mapping has ${mapping.length} bytes`);
    }
    poke(mapping.address, offset, bytes);
  },
  hash({ world }, args) {
    const fd = world.file(args.text("fd"));
    const { size } = fstat(fd);
    const hash = new Fnv();
    const bytes = new Uint8Array(Math.min(size, CHUNK));
    for (let at = 0; at < size;) {
      const n = pread(fd, bytes, at);
      if (n === 0) break;
      hash.add(bytes.subarray(0, n));
      at += n;
    }
    return { size, fnv: String(hash) };
  },
  stat({ world }, args) {
    const fd = world.file(args.text("fd"));
    const { size, mode, nlink } = fstat(fd);
    return {
      size,
      pos: positionOf(fd),
      blocks: blocksOf(fd),
      mode: mode.toString(8),
      nlink: Number(nlink),
      seals: sealsOf(fd).toString(16),
      fl: measuredFlags(getFlags(fd)).toString(8),
      fdfl: getCloexec(fd) ? 1 : 0,
    };
  },
  same_file({ world }, args) {
    const [a, b] = [world.file(args.text("a")), world.file(args.text("b"))];
    return { same_inode: inodeOf(a) === inodeOf(b) ? 1 : 0, same_offset: sameOpenFile(a, b) ? 1 : 0 };
  },
  fdname: ({ world }, args) => ({
    link: encodeText(new TextEncoder().encode(fdLink(world.file(args.text("fd"))))),
  }),
};

/**
 * Opens the file of a descriptor once more, through /proc.
 *
 * @param fd a descriptor, borrowed
 * @param flags how; for reading and writing if absent
 */
export function reopened(fd: number, flags: number = O_RDWR): OwnedFd {
  return OwnedFd.adopt(open(`/proc/self/fd/${fd}`, flags));
}

/** A duplicate as dup(2) makes it: not close-on-exec. */
export function duplicated(fd: number): OwnedFd {
  return OwnedFd.adopt(duplicate(fd));
}

/** Writes where a step says: at a place of its own, or where the file stands. */
export function writeAt(fd: number, args: Args, bytes: Uint8Array<ArrayBuffer>): number {
  return args.has("at") ? pwrite(fd, bytes, args.number("at")) : write(fd, bytes);
}

/** Where a file stands; -1 for what has no position. */
function positionOf(fd: number): number {
  try {
    return seek(fd, 0, "cur");
  } catch {
    return -1;
  }
}

function whenceOf(args: Args): "set" | "cur" | "end" {
  const word = args.has("whence") ? args.text("whence").toLowerCase().replace("seek_", "") : "set";
  const whence = (["set", "cur", "end"] as const).find((each, at) => each === word || String(at) === word);
  if (whence === undefined) throw new ScenarioError(`there is no whence "${word}"`);
  return whence;
}

function makeMemfd(args: Args): OwnedFd {
  const flags = args.number("flags", 0) | (args.number("seal", 0) === 0 ? 0 : MFD_ALLOW_SEALING);
  const name = args.has("name") ? args.bytes("name") : decodeText("golden");
  return OwnedFd.adopt(memfdCreate(name, flags));
}

function fillMemfd(fd: number, args: Args): void {
  const size = args.number("bytes", 0);
  truncate(fd, size);
  const fill = args.has("fill") ? args.big("fill") : 0n;
  if (fill !== 0n) pwrite(fd, fillBytes(fill, size), 0);
  if (args.has("text")) pwrite(fd, args.bytes("text"), args.number("at", 0));
}

/** The same descriptor with a new owner, so that the old one closes nothing. */
function moved(fd: OwnedFd): OwnedFd {
  return OwnedFd.adopt(fd.release());
}
