import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import {
  HUGE_PAGE_BYTES,
  noHugePages,
  reserveHugePages,
  runScriptForJson,
  shmName,
} from "../sys/helpers_test.ts";
import { addSeals, createMemfd, dupOnto, fstatfs, openFile, OwnedFd, SEALS, truncate } from "../sys/mod.ts";
import { Mapping } from "../sys/mmap.ts";
import { createHugeMemfd, hugePageFacts, shmOpen } from "../sys/shm.ts";
import { call } from "../sys/symbols.ts";
import { cString } from "../sys/text.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { fileHandler } from "./file.ts";
import { encodeRecord } from "./record.ts";
import { shmHandler } from "./shm.ts";

const O_TMPFILE_RDWR = 0o20200002;

/** A file of a directory that never had a name. */
function unnamed(directory: string): OwnedFd {
  return OwnedFd.adopt(call.open(cString(directory), O_TMPFILE_RDWR | 0o2000000, 0o600));
}

/** A tmpfs that is not `/dev/shm`, or null: where no such thing is mounted, there is nothing to tell apart. */
function otherTmpfs(): string | null {
  for (const line of Deno.readTextFileSync("/proc/mounts").split("\n")) {
    const [, path = "", type] = line.split(" ");
    if (type !== "tmpfs" || path.startsWith("/dev/shm")) continue;
    try {
      Deno.removeSync(Deno.makeTempFileSync({ dir: path }));
      return path;
    } catch {
      // Read-only, or another user's.
    }
  }
  console.log("ignored: no other tmpfs can be written here");
  return null;
}

Deno.test("shmHandler takes POSIX shared memory and unlinked files of a tmpfs, and no memfd", () => {
  using place = shmName();
  using linked = shmOpen(place.name, { create: true });
  using reader = openFile(place.path);
  using nameless = unnamed("/dev/shm");
  using memfd = createMemfd("/dev/shm/x");
  using onDisk = unnamed("/var/tmp");
  assertEquals([linked, reader, nameless, memfd].map(takerOf), ["shm-v1", "shm-v1", "shm-v1", "memfd-v1"]);
  const isDisk = fstatfs(onDisk.fd).type !== fstatfs(linked.fd).type;
  assertEquals(takerOf(onDisk), isDisk ? "file-v1" : "shm-v1");
  Deno.removeSync(place.path);
  assertEquals(takerOf(linked), "shm-v1");
});

const TMPFS = otherTmpfs();

Deno.test({
  name: "shmHandler leaves the linked files of another tmpfs to file-v1",
  ignore: TMPFS === null,
  fn() {
    const path = Deno.makeTempFileSync({ dir: TMPFS! });
    using file = openFile(path);
    assertEquals(takerOf(file), "file-v1");
    Deno.removeSync(path);
    assertEquals(takerOf(file), "shm-v1");
  },
});

Deno.test("shmHandler carries memory with its size, and says what became of its name", () => {
  using place = shmName();
  using memory = shmOpen(place.name, { create: true });
  truncate(memory.fd, 12_345);
  const { fd: _fd, flags, ...rest } = assertCarried(shmHandler, memory);
  assertEquals(rest, {
    huge_page_bytes: null,
    path: place.path,
    path_state: "same",
    seals: SEALS.SEAL,
    size: 12_345,
  });
  assertEquals(Number(flags) & 3, 2);
  Deno.removeSync(place.path);
  assertEquals(assertCarried(shmHandler, memory).path_state, "unlinked");
  shmOpen(place.name, { create: true })[Symbol.dispose]();
  assertEquals(assertCarried(shmHandler, memory).path_state, "replaced");
});

Deno.test("shmHandler refuses a descriptor with another access mode", () => {
  using place = shmName();
  shmOpen(place.name, { create: true })[Symbol.dispose]();
  using reader = openFile(place.path);
  const forged = (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(1, { fd: held.fd, flags: 2 });
  using arrived = carry(shmHandler, reader, forged);
  assertHandoverError(() => shmHandler.retrieve(arrived.args), "WRONG_DESCRIPTOR", "its access mode");
  shmHandler.finish(arrived.args);
});

Deno.test("shmHandler minds neither another size nor a name that comes and goes", () => {
  using place = shmName();
  using memory = shmOpen(place.name, { create: true });
  using arrived = carry(shmHandler, memory, () => {
    truncate(memory.fd, 99);
    Deno.removeSync(place.path);
  });
  assertEquals(shmHandler.retrieve(arrived.args), arrived.record.fd);
  shmHandler.finish(arrived.args);
});

Deno.test("shmHandler says when the descriptor has become something else", () => {
  using place = shmName();
  using memory = shmOpen(place.name, { create: true });
  using other = openFile("/dev/null");
  dupOnto(other.fd, memory.fd);
  assertHandoverError(() => carry(shmHandler, memory), "WRONG_DESCRIPTOR", "it is /dev/null");
});

Deno.test("fileHandler still reads what an older build wrote about shared memory", () => {
  using place = shmName();
  using memory = shmOpen(place.name, { create: true });
  assertEquals(assertCarried(fileHandler, memory).path, place.path);
});

Deno.test({
  name: "shmHandler carries memfds on huge pages, with their seals and the pages that were promised",
  ignore: noHugePages() !== null,
  async fn() {
    await using pages = await reserveHugePages(2);
    if (pages === null) return;
    using memory = createHugeMemfd("huge", HUGE_PAGE_BYTES, HUGE_PAGE_BYTES);
    assertEquals(takerOf(memory), "shm-v1");
    using mapping = Mapping.map(memory.fd, HUGE_PAGE_BYTES, { writable: true });
    mapping.bytes[7] = 7;
    addSeals(memory.fd, SEALS.SHRINK);
    const { available } = hugePageFacts(HUGE_PAGE_BYTES)!;
    const { huge_page_bytes, path, path_state, seals, size } = assertCarried(shmHandler, memory);
    assertEquals([huge_page_bytes, path, path_state], [
      HUGE_PAGE_BYTES,
      "/memfd:huge (deleted)",
      "unlinked",
    ]);
    assertEquals([seals, size], [SEALS.SHRINK, HUGE_PAGE_BYTES]);
    assertEquals(hugePageFacts(HUGE_PAGE_BYTES)!.available, available, "no page more or less");
  },
});

/** Can a hugetlbfs be mounted in a namespace of its own? Null, or why not. */
function noHugetlbfs(): string | null {
  const reason = noHugePages();
  if (reason !== null) return reason;
  const { success, stderr } = new Deno.Command(MOUNTED[0]!, { args: [...MOUNTED.slice(1), "true"] })
    .outputSync();
  if (success) return null;
  console.log(`ignored: no hugetlbfs can be mounted: ${new TextDecoder().decode(stderr).trim()}`);
  return "no hugetlbfs";
}

const MOUNTED = [
  "unshare",
  "--mount",
  "sh",
  "-c",
  'mount -t hugetlbfs none /mnt && exec "$@"',
  "sh",
] as const;

Deno.test({
  name: "shmHandler carries files of a hugetlbfs, whether they have a name or not",
  ignore: noHugetlbfs() !== null,
  async fn() {
    const module = (path: string): string => JSON.stringify(import.meta.resolve(path));
    const script = `
      const { shmHandler } = await import(${module("./shm.ts")});
      const { OutgoingKho } = await import(${module("../kho/outgoing.ts")});
      const { decodeCbor } = await import(${module("../kho/codec.ts")});
      using file = sys.openFile("/mnt/file", { read: true, write: true, create: true });
      sys.truncate(file.fd, ${HUGE_PAGE_BYTES});
      const look = () => {
        const args = { fd: file.fd, kho: new OutgoingKho() };
        shmHandler.preserve(args);
        const [, { path, path_state, huge_page_bytes, size }] = decodeCbor(args.kho.blobs()[0]);
        say([shmHandler.canPreserve(args), path, path_state, huge_page_bytes, size]);
      };
      look();
      Deno.removeSync("/mnt/file");
      look();`;
    const said = await runScriptForJson(script, {}, { prefix: [...MOUNTED, Deno.execPath()] });
    assertEquals(said, [
      [true, "/mnt/file", "same", HUGE_PAGE_BYTES, HUGE_PAGE_BYTES],
      [true, "/mnt/file (deleted)", "unlinked", HUGE_PAGE_BYTES, HUGE_PAGE_BYTES],
    ]);
  },
});
