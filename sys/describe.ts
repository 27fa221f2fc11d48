/**
 * Descriptors in words, for messages that a person reads: what something is, and where it cannot be carried, why.
 *
 * Happy path: `describeFd(7)` is `an io_uring (anon_inode:[io_uring])`; {@linkcode refusalOf} adds why that cannot cross and
 * what to do instead.
 *
 * Unhappy path: what nobody has given a name here is called what the kernel calls it, with its link in `/proc/self/fd`.
 *
 * @module
 */
import { SysError } from "./errno.ts";
import { getFlags } from "./fd.ts";
import { O_PATH } from "./file.ts";
import { fdLink } from "./proc.ts";
import { getIntOption, SOCKET_OPTIONS, type SocketOptionName } from "./socket_options.ts";
import { type FileStat, filesystemType, fstat, PROC_SUPER_MAGIC } from "./stat.ts";

/** What something is called, and why it is not carried. */
interface Words {
  /** With its article. */
  noun: string;
  /** Why not, and what to do instead; null where there is nothing to say that the noun does not. */
  why: string | null;
}

const AGAIN = "in the new build";

/** Kinds of anonymous inodes by the kernel's name, without `anon_inode:` and brackets. */
const ANONYMOUS: Readonly<Record<string, readonly [noun: string, why?: string]>> = {
  "bpf-map": ["a BPF map", `pin it in a BPF file system and open it again ${AGAIN}`],
  "bpf-prog": ["a BPF program", `pin it in a BPF file system and open it again ${AGAIN}`],
  bpf_iter: ["a BPF iterator", `its position is the kernel's alone; open it again ${AGAIN}`],
  bpf_link: ["a BPF link", `pin it in a BPF file system and open it again ${AGAIN}`],
  btf: ["BPF type information", `load it again ${AGAIN}`],
  eventfd: ["an eventfd"],
  eventpoll: ["an epoll set"],
  fanotify: ["a fanotify group", `nothing tells what it has marked; set it up again ${AGAIN}`],
  fscontext: ["a file system context", `it belongs to one mount(2) under way; finish that before the update`],
  inotify: ["an inotify instance"],
  io_uring: ["an io_uring", `its rings are mapped by this process only; set it up again ${AGAIN}`],
  "kvm-vm": ["a virtual machine", `its memory is mapped by this process only; end it before the update`],
  landlock_ruleset: ["a Landlock ruleset", `make it again ${AGAIN}`],
  perf_event: ["a performance counter", `its buffer is mapped by this process only; open it again ${AGAIN}`],
  pidfd: ["a pidfd"],
  "seccomp notify": ["a seccomp listener", "who waits for its answers has this process in mind"],
  signalfd: ["a signalfd"],
  sync_file: ["a fence of a graphics device", "the work behind it belongs to this process"],
  timerfd: ["a timer"],
  userfaultfd: [
    "a userfaultfd",
    `it serves the address space of this process, which ends with the update; set it up again ${AGAIN}`,
  ],
};

/** Why a device is not carried: nothing tells what state its driver keeps for one opening. */
const DRIVER = `what its driver keeps for it cannot be checked; open it again ${AGAIN}`;
const STATELESS = `it has no state; open it again ${AGAIN}`;

/** Character devices that most systems have, by major and minor number. */
const DEVICES: Readonly<Record<string, readonly [noun: string, why: string]>> = {
  "1:1": ["the machine's memory", DRIVER],
  "1:3": ["the null device", STATELESS],
  "1:5": ["the device of zeros", STATELESS],
  "1:7": ["the full device", STATELESS],
  "1:8": ["the random device", STATELESS],
  "1:9": ["the random device", STATELESS],
  "1:11": ["the kernel's log", `its position cannot be read; open it again ${AGAIN}`],
  "10:130": ["a watchdog", "a build that fails would leave it unattended; let another process feed it"],
  "10:183": ["the hardware random device", STATELESS],
  "10:200": [
    "a network tunnel",
    "make it persistent (TUNSETPERSIST) and attach to it again in the new build",
  ],
  "10:223": ["the input injector", DRIVER],
  "10:229": [
    "a FUSE connection",
    "requests under way would never be answered; end the mount before the update",
  ],
  "10:232": ["the virtual machine monitor", STATELESS],
  "10:237": ["the loop control device", STATELESS],
  "10:238": ["a vhost device", `it serves the memory of this process, which ends with the update`],
};

/** Majors of character devices whose minors are many. */
const DEVICE_MAJORS: Readonly<Record<number, string>> = {
  13: "an input device",
  29: "a frame buffer",
  81: "a video device",
  89: "an I2C bus",
  108: "a PPP unit",
  116: "a sound device",
  153: "an SPI device",
  226: "a graphics device",
};

/** Families of sockets (`bits/socket.h`), each with its article. */
const FAMILIES: Readonly<Record<number, string>> = {
  1: "a unix",
  2: "an IPv4",
  3: "an AX.25",
  10: "an IPv6",
  15: "a key management",
  16: "a netlink",
  17: "a packet",
  21: "an RDS",
  24: "a PPPoX",
  29: "a CAN",
  30: "a TIPC",
  31: "a Bluetooth",
  33: "an RxRPC",
  38: "a kernel crypto",
  40: "a vsock",
  41: "a KCM",
  42: "a QRTR",
  43: "an SMC",
  44: "an XDP",
  45: "an MCTP",
};

/** Families whose sockets are the same whatever their type. */
const NETLINK = 16;
const PACKET = 17;
const RAW = 3;
const SEQUENCED = 5;

/** Types of sockets. */
const TYPES: Readonly<Record<number, string>> = {
  1: "stream",
  2: "datagram",
  3: "raw",
  4: "reliable datagram",
  5: "sequenced packet",
  6: "DCCP",
  10: "packet",
};

/** Protocols of the families 2 and 10 that are not what their type says. */
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ping", 58: "ping", 132: "SCTP", 262: "MPTCP" };

/**
 * What a descriptor is.
 *
 * @param fd an open descriptor, borrowed
 * @returns a noun with its article, such as `the null device (/dev/null)`
 * @throws {SysError} EBADF
 */
export function describeFd(fd: number): string {
  return wordsOf(fd).noun;
}

/**
 * What a descriptor is and why it is not carried, for the end of a sentence that begins with "no handler accepts".
 *
 * @param fd an open descriptor, borrowed
 * @returns a noun with its article, and after a colon why not and what to do instead, where that can be said
 * @throws {SysError} EBADF
 */
export function refusalOf(fd: number): string {
  const { noun, why } = wordsOf(fd);
  return why === null ? noun : `${noun}: ${why}`;
}

function wordsOf(fd: number): Words {
  const stat = fstat(fd);
  const link = fdLink(fd);
  if ((getFlags(fd) & O_PATH) !== 0) {
    const why = "it stands for a place in the file system; open what is there";
    return { noun: `an O_PATH descriptor (${link})`, why };
  }
  switch (stat.kind) {
    case "file":
      return fileWords(fd, link);
    case "directory":
      return { noun: `a directory (${link})`, why: null };
    case "chardev":
      return deviceWords(stat, link);
    case "blockdev":
      return { noun: `a block device (${link})`, why: DRIVER };
    case "fifo":
      return { noun: link.startsWith("/") ? `a FIFO (${link})` : "a pipe", why: null };
    case "socket":
      return socketWords(fd);
    case "symlink":
      return { noun: `a symbolic link (${link})`, why: null };
    case "anon":
      return anonymousWords(link);
  }
}

function fileWords(fd: number, link: string): Words {
  const named = (noun: string, why: string): Words => ({ noun: `${noun} (${link})`, why });
  if (link.startsWith("/secretmem")) {
    return named("secret memory", `it is meant for one image of a process; make it again ${AGAIN}`);
  }
  if (/^\w+:\[\d+\]$/.test(link)) {
    return named("a namespace", `open it again ${AGAIN}, from the /proc of a process in it`);
  }
  if (filesystemType(fd) === PROC_SUPER_MAGIC) {
    return named("a file of /proc", `the kernel makes its content for who opens it; open it again ${AGAIN}`);
  }
  return { noun: `a regular file (${link})`, why: null };
}

function deviceWords({ rdev }: FileStat, link: string): Words {
  // As new_encode_dev() of the kernel packs them.
  const major = Number((rdev >> 8n) & 0xfffn);
  const minor = Number((rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n));
  const known = DEVICES[`${major}:${minor}`];
  const noun = known?.[0] ?? DEVICE_MAJORS[major] ?? "a character device";
  return { noun: `${noun} (${link})`, why: known?.[1] ?? DRIVER };
}

function anonymousWords(link: string): Words {
  const name = /^anon_inode:\[?([^\]]+)\]?$/.exec(link)?.[1] ?? link;
  const known = ANONYMOUS[name];
  if (known !== undefined) return { noun: `${known[0]} (${link})`, why: known[1] ?? null };
  if (name.startsWith("kvm-")) {
    return {
      noun: `a part of a virtual machine (${link})`,
      why: "its memory is mapped by this process only",
    };
  }
  return { noun: `an anonymous inode (${link})`, why: `nothing tells its state; make it again ${AGAIN}` };
}

function socketWords(fd: number): Words {
  const family = option(fd, "DOMAIN");
  const type = option(fd, "TYPE");
  const isInternet = family === 2 || family === 10;
  const protocol = isInternet && type !== RAW ? PROTOCOLS[option(fd, "PROTOCOL")] : undefined;
  const kind = family === NETLINK || family === PACKET ? "" : `${protocol ?? TYPES[type] ?? `type ${type}`} `;
  return {
    noun: `${FAMILIES[family] ?? `a family ${family}`} ${kind}socket`,
    why: family === 1 && type === SEQUENCED
      ? "only those that listen are carried"
      : `nothing tells all that it is set to; open it again ${AGAIN}`,
  };
}

/** An option of a socket; -1 where it has none of that name. */
function option(fd: number, name: SocketOptionName): number {
  try {
    return getIntOption(fd, ...SOCKET_OPTIONS[name]);
  } catch (error) {
    if (error instanceof SysError) return -1;
    throw error;
  }
}

/**
 * A kind with its article, for messages.
 *
 * @param kind such as `file`, or `epoll`
 */
export function articled(kind: string): string {
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}
