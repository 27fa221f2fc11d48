import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { getCloexec } from "./fd.ts";
import { openFile, pread, pwrite, truncate } from "./file.ts";
import {
  HUGE_PAGE_BYTES,
  noHugePages,
  reserveHugePages,
  runScriptForJson,
  shmName,
  withSameFds,
} from "./helpers_test.ts";
import { getSeals } from "./memfd.ts";
import { Mapping } from "./mmap.ts";
import { fdLink } from "./proc.ts";
import {
  allocate,
  createHugeMemfd,
  defaultHugePageBytes,
  hugePageFacts,
  machineBytes,
  shmOpen,
  shmUnlink,
} from "./shm.ts";
import { fstat } from "./stat.ts";

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

function bytesHeld(fd: number): number {
  return (Deno.statSync(`/proc/self/fd/${fd}`).blocks ?? 0) * 512;
}

Deno.test("shmOpen() creates memory under a name, with that mode, close-on-exec", () => {
  using place = shmName();
  withSameFds(() => {
    using made = shmOpen(place.name, { create: true, mode: 0o640 });
    assert(getCloexec(made.fd));
    assertEquals([fdLink(made.fd), fstat(made.fd).mode & 0o777, fstat(made.fd).size], [place.path, 0o640, 0]);
    pwrite(made.fd, new Uint8Array([7]), 0);
    using again = shmOpen(place.name);
    const byte = new Uint8Array(1);
    pread(again.fd, byte, 0);
    assertEquals([byte[0], fstat(again.fd).ino], [7, fstat(made.fd).ino]);
  });
});

Deno.test("shmOpen() and shmUnlink() say what is wrong", () => {
  using place = shmName();
  assertEquals(codeOf(() => shmOpen(place.name)), "ENOENT");
  assertEquals(codeOf(() => shmUnlink(place.name)), "ENOENT");
  shmOpen(place.name, { create: true })[Symbol.dispose]();
  assertEquals(codeOf(() => shmOpen(place.name, { create: true })), "EEXIST");
  shmUnlink(place.name);
  Deno.symlinkSync("/dev/null", place.path);
  assertEquals(codeOf(() => shmOpen(place.name)), "ELOOP");
  assertEquals(codeOf(() => shmOpen("/a/b")), "EINVAL");
  assertThrows(() => shmOpen("/a\0b"), TypeError);
});

Deno.test("allocate() finds room without changing the size, or with", () => {
  using place = shmName();
  using memory = shmOpen(place.name, { create: true });
  truncate(memory.fd, 100);
  allocate(memory.fd, 0, 40_960, { keepSize: true });
  assertEquals([fstat(memory.fd).size, bytesHeld(memory.fd)], [100, 40_960]);
  truncate(memory.fd, 40_960);
  assertEquals(bytesHeld(memory.fd), 40_960);
  allocate(memory.fd, 40_960, 81_920);
  assertEquals([fstat(memory.fd).size, bytesHeld(memory.fd)], [81_920, 81_920]);
  using reader = openFile(place.path);
  assertEquals(codeOf(() => allocate(reader.fd, 0, 1)), "EBADF");
});

Deno.test("truncate(), allocate() and createMemfd() beyond RLIMIT_FSIZE are EFBIG, and the process lives", async () => {
  using place = shmName();
  const script = `
    const { allocate, shmOpen } = await import(${JSON.stringify(import.meta.resolve("./shm.ts"))});
    const codeOf = (body) => { try { body(); return null; } catch (error) { return error.message; } };
    const memory = sys.createMemfd("large", { size: 20_000 });
    const shared = shmOpen(${JSON.stringify(place.name)}, { create: true });
    sys.setLimit("fsize", { soft: 10_000n, hard: sys.getLimit("fsize").hard });
    const before = sys.listFds().length;
    const found = [
      codeOf(() => sys.createMemfd("x", { size: 10_001 })),
      codeOf(() => allocate(shared.fd, 0, 10_001, { keepSize: true })),
      codeOf(() => sys.truncate(memory.fd, 20_001)),
      // What is there already may become smaller, and the limit itself is allowed.
      codeOf(() => sys.truncate(memory.fd, 15_000)),
      codeOf(() => sys.createMemfd("x", { size: 10_000 })[Symbol.dispose]()),
      sys.listFds().length - before,
    ];
    sys.setLimit("fsize", { soft: sys.getLimit("fsize").hard, hard: sys.getLimit("fsize").hard });
    say(found);`;
  const [found] = await runScriptForJson(script) as [(string | number | null)[]];
  const large = /^Cannot (ftruncate|fallocate) fd \d+ to \d+ bytes: RLIMIT_FSIZE is 10000: EFBIG/;
  assertEquals(found.slice(0, 3).map((text) => large.test(String(text))), [true, true, true], String(found));
  assertEquals(found.slice(3), [null, null, 0]);
});

Deno.test("hugePageFacts() knows sizes that are not there", () => {
  assertEquals(hugePageFacts(4096 * 3), null);
  const bytes = defaultHugePageBytes();
  if (bytes === null) return;
  const { pageBytes, total, available } = hugePageFacts(bytes) ?? {};
  assertEquals([pageBytes, typeof total, typeof available], [bytes, "number", "number"]);
});

Deno.test("machineBytes() is what the runtime says", () => {
  const { total, swapTotal } = Deno.systemMemoryInfo();
  assertEquals(machineBytes(), total + swapTotal);
});

Deno.test({
  name: "createHugeMemfd() makes sealable memory whose pages are promised when it is mapped",
  ignore: noHugePages() !== null,
  async fn() {
    await using pages = await reserveHugePages(3);
    if (pages === null) return;
    const before = hugePageFacts(HUGE_PAGE_BYTES)!;
    assert(before.total >= 3 && before.available >= 3);
    {
      using memory = createHugeMemfd("huge", 2 * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES);
      assertEquals([fstat(memory.fd).size, getSeals(memory.fd), getCloexec(memory.fd)], [
        2 * HUGE_PAGE_BYTES,
        0,
        true,
      ]);
      assertEquals(hugePageFacts(HUGE_PAGE_BYTES)!.available, before.available);
      const mapping = Mapping.map(memory.fd, 2 * HUGE_PAGE_BYTES, { writable: true });
      mapping.bytes[2 * HUGE_PAGE_BYTES - 1] = 5;
      mapping[Symbol.dispose]();
      assertEquals(hugePageFacts(HUGE_PAGE_BYTES)!.available, before.available - 2, "the promise stays");
      using tooMuch = createHugeMemfd("huge", (before.available + 1) * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES);
      const size = fstat(tooMuch.fd).size;
      assertEquals(codeOf(() => Mapping.map(tooMuch.fd, size, { writable: true })), "ENOMEM");
    }
    assertEquals(hugePageFacts(HUGE_PAGE_BYTES)!.available, before.available);
  },
});

Deno.test("createHugeMemfd() says what is wrong, and leaves no descriptor", () => {
  withSameFds(() => {
    assertEquals(codeOf(() => createHugeMemfd("huge", 2 ** 16, 2 ** 16)), "ENODEV");
    if (hugePageFacts(HUGE_PAGE_BYTES) === null) return;
    assertEquals(codeOf(() => createHugeMemfd("huge", 4096, HUGE_PAGE_BYTES)), "EINVAL");
  });
});
