import { assertEquals, assertMatch, assertThrows } from "@std/assert";

import { describeFd, refusalOf } from "./describe.ts";
import { makePipe, makeSocketPair, openTestLibc } from "./helpers_test.ts";
import { openFile } from "./file.ts";
import { errnoName } from "./errno.ts";
import { OwnedFd } from "./owned_fd.ts";
import { call, lastErrno } from "./symbols.ts";
import { openListener } from "./socket.ts";

/** Says that something of these tests is not to be had here. */
function isMissing(what: string, fd: OwnedFd | string): fd is string {
  if (typeof fd !== "string") return false;
  console.log(`ignored: ${what}: the kernel answers ${fd}`);
  return true;
}

/** A descriptor from a system call of which `sys` has no wrapper, or the name of its error. */
function raw(number: bigint, ...args: (bigint | Uint8Array<ArrayBuffer>)[]): OwnedFd | string {
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n] = args.map((arg) =>
    typeof arg === "bigint" ? arg : BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(arg)))
  );
  const fd = Number(call.syscall(number, a, b, c, d, e));
  return fd < 0 ? errnoName(lastErrno()) : OwnedFd.adopt(fd);
}

function socket(domain: number, type: number, protocol = 0): OwnedFd | string {
  const fd = call.socket(domain, type | 0o2000000, protocol);
  return fd < 0 ? errnoName(lastErrno()) : OwnedFd.adopt(fd);
}

/** `struct perf_event_attr` of 64 bytes: a software counter of context switches, of user space only, off. */
function perfAttributes(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, 64, true);
  view.setBigUint64(8, 3n, true);
  view.setBigUint64(40, 0b1100001n, true);
  return bytes;
}

/** `union bpf_attr` of BPF_MAP_CREATE: an array of one entry. */
function mapAttributes(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(72);
  new Uint32Array(bytes.buffer).set([2, 4, 8, 1]);
  return bytes;
}

const isX86 = Deno.build.arch === "x86_64";
const CLOEXEC = 0o2000000n;

/** Each with the numbers of x86-64 and aarch64. */
const RARE: readonly [name: string, make: () => OwnedFd | string, wanted: RegExp][] = [
  [
    "io_uring",
    () => raw(425n, 4n, new Uint8Array(120)),
    /^an io_uring \(anon_inode:\[io_uring\]\): its rings are mapped by this process only; set it up again in the new build$/,
  ],
  [
    "userfaultfd",
    () => raw(isX86 ? 323n : 282n, CLOEXEC | 1n),
    /^a userfaultfd \(.*userfaultfd.*\): it serves the address space of this process, which ends/,
  ],
  ["a BPF map", () => raw(isX86 ? 321n : 280n, 0n, mapAttributes(), 72n), /^a BPF map \(.*\): pin it /],
  ["secret memory", () => raw(447n, CLOEXEC), /^secret memory \(\/secretmem.*\): it is meant for one image/],
  [
    "fanotify",
    () => raw(isX86 ? 300n : 262n, 1n, 0n),
    /^a fanotify group \(.*\): nothing tells what it has marked/,
  ],
  [
    "a performance counter",
    () => raw(isX86 ? 298n : 241n, perfAttributes(), 0n, 0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn, 8n),
    /^a performance counter \(.*\): its buffer is mapped by this process only/,
  ],
  ["netlink", () => socket(16, 3), /^a netlink socket: /],
  ["packet sockets", () => socket(17, 3, 0x0300), /^a packet socket: /],
  ["raw sockets", () => socket(2, 3, 1), /^an IPv4 raw socket: /],
  ["raw sockets of IPv6", () => socket(10, 3, 58), /^an IPv6 raw socket: /],
  ["ping sockets", () => socket(2, 2, 1), /^an IPv4 ping socket: /],
  ["vsock", () => socket(40, 1), /^a vsock stream socket: /],
  ["kernel crypto", () => socket(38, 5), /^a kernel crypto sequenced packet socket: /],
  ["/dev/fuse", () => open("/dev/fuse"), /^a FUSE connection \(\/dev\/fuse\): requests under way/],
  ["/dev/kvm", () => open("/dev/kvm"), /^the virtual machine monitor \(\/dev\/kvm\): /],
  ["/dev/kmsg", () => open("/dev/kmsg"), /^the kernel's log \(\/dev\/kmsg\): /],
  ["a block device", () => blockDevice(), /^a block device \(\/dev\/.*\): what its driver keeps/],
];

function open(path: string): OwnedFd | string {
  try {
    return openFile(path);
  } catch (error) {
    return (error as Error).message;
  }
}

function blockDevice(): OwnedFd | string {
  const { name } =
    [...Deno.readDirSync("/dev")].find(({ name }) => Deno.lstatSync(`/dev/${name}`).isBlockDevice) ??
      { name: "no block device" };
  return open(`/dev/${name}`);
}

for (const [name, make, wanted] of RARE) {
  const made = make();
  const ignore = isMissing(name, made);
  if (typeof made !== "string") made[Symbol.dispose]();
  Deno.test({
    name: `refusalOf() says what ${name} is, and why it is not carried`,
    ignore,
    fn() {
      const fd = make();
      if (typeof fd === "string") throw new Error(fd);
      using owned = fd;
      assertMatch(refusalOf(owned.fd), wanted);
      assertEquals(refusalOf(owned.fd).startsWith(describeFd(owned.fd)), true);
    },
  });
}

Deno.test("describeFd() has a noun for each kind of anonymous inode that an application makes", () => {
  const libc = openTestLibc();
  try {
    using count = OwnedFd.adopt(libc.symbols.eventfd(0, 0o2000000));
    using set = OwnedFd.adopt(libc.symbols.epoll_create1(0o2000000));
    using timer = OwnedFd.adopt(call.timerfd_create(1, 0o2000000));
    using watch = OwnedFd.adopt(call.inotify_init1(0o2000000));
    using signals = OwnedFd.adopt(call.signalfd(-1, new Uint8Array(8), 0o2000000));
    const own = raw(434n, BigInt(Deno.pid), 0n);
    if (typeof own === "string") throw new Error(own);
    using process = own;
    assertEquals([count, set, timer, watch, signals, process].map(({ fd }) => refusalOf(fd)), [
      "an eventfd (anon_inode:[eventfd])",
      "an epoll set (anon_inode:[eventpoll])",
      "a timer (anon_inode:[timerfd])",
      "an inotify instance (anon_inode:inotify)",
      "a signalfd (anon_inode:[signalfd])",
      "a pidfd (anon_inode:[pidfd])",
    ]);
  } finally {
    libc.close();
  }
});

Deno.test("describeFd() names devices by their numbers, whatever their path is", () => {
  using none = openFile("/dev/null");
  using zero = openFile("/dev/zero");
  using random = openFile("/dev/urandom");
  assertEquals([none, zero, random].map(({ fd }) => describeFd(fd)), [
    "the null device (/dev/null)",
    "the device of zeros (/dev/zero)",
    "the random device (/dev/urandom)",
  ]);
});

Deno.test("describeFd() has a noun for files, directories, pipes and places", async () => {
  const path = await Deno.makeTempFile();
  const [reader, writer] = makePipe();
  using _reader = reader;
  using _writer = writer;
  using file = openFile(path);
  using place = openFile(path, { path: true });
  using directory = openFile("/tmp", { directory: true });
  using maps = openFile("/proc/self/maps");
  using space = openFile("/proc/self/ns/net");
  assertEquals([file, directory, reader].map(({ fd }) => refusalOf(fd)), [
    `a regular file (${path})`,
    "a directory (/tmp)",
    "a pipe",
  ]);
  assertEquals(
    refusalOf(place.fd),
    `an O_PATH descriptor (${path}): it stands for a place in the file system; open what is there`,
  );
  assertMatch(refusalOf(maps.fd), /^a file of \/proc \(\/proc\/\d+\/maps\): the kernel makes its content/);
  assertMatch(refusalOf(space.fd), /^a namespace \(net:\[\d+\]\): open it again in the new build/);
  await Deno.remove(path);
});

Deno.test("describeFd() names sockets by family and type", () => {
  const [packet, packets] = makeSocketPair(5);
  using stack = new DisposableStack();
  const sockets = [packet, packets, openListener({ family: "inet", host: "127.0.0.1", port: 0 })];
  for (const socket of sockets) stack.use(socket);
  assertEquals(sockets.map(({ fd }) => describeFd(fd)), [
    "a unix sequenced packet socket",
    "a unix sequenced packet socket",
    "an IPv4 stream socket",
  ]);
  assertMatch(refusalOf(packet.fd), /: only those that listen are carried$/);
});

Deno.test("describeFd() of a closed descriptor is EBADF", () => {
  assertThrows(() => describeFd(9999), Error, "EBADF");
});
