import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { getCloexec } from "./fd.ts";
import { openFile, pread, pwrite, truncate } from "./file.ts";
import { nextFreeFd, runScriptForJson, withSameFds } from "./helpers_test.ts";
import { addSeals, createMemfd, getSeals, SEALS } from "./memfd.ts";
import { Mapping } from "./mmap.ts";
import { fdLink } from "./proc.ts";
import { fstat } from "./stat.ts";

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

const BYTE = new Uint8Array([7]);

Deno.test("createMemfd() makes sealable memory of the wanted size, close-on-exec", () => {
  withSameFds(() => {
    using memfd = createMemfd("some name", { size: 10_000 });
    assert(getCloexec(memfd.fd));
    assertEquals(fstat(memfd.fd).size, 10_000);
    assertEquals(fdLink(memfd.fd), "/memfd:some name (deleted)");
    assertEquals(getSeals(memfd.fd), 0);
    using empty = createMemfd("empty");
    assertEquals(fstat(empty.fd).size, 0);
  });
});

Deno.test("addSeals() forbids writing, growing and shrinking for good", () => {
  using memfd = createMemfd("sealed", { size: 4096 });
  assertEquals(pwrite(memfd.fd, BYTE, 0), 1);
  addSeals(memfd.fd, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
  assertEquals(getSeals(memfd.fd), 15);
  assertEquals(codeOf(() => pwrite(memfd.fd, BYTE, 0)), "EPERM");
  assertEquals(codeOf(() => truncate(memfd.fd, 0)), "EPERM");
  assertEquals(codeOf(() => truncate(memfd.fd, 8192)), "EPERM");
  assertEquals(codeOf(() => addSeals(memfd.fd, SEALS.FUTURE_WRITE)), "EPERM");
  assertEquals(codeOf(() => Mapping.map(memfd.fd, 4096, { writable: true })), "EPERM");
  const byte = new Uint8Array(1);
  assertEquals([pread(memfd.fd, byte, 0), byte[0]], [1, 7]);
});

Deno.test("addSeals() says EBUSY for WRITE while a shared mapping can write", () => {
  using memfd = createMemfd("mapped", { size: 4096 });
  {
    using _mapping = Mapping.map(memfd.fd, 4096, { writable: true });
    assertEquals(codeOf(() => addSeals(memfd.fd, SEALS.WRITE)), "EBUSY");
    addSeals(memfd.fd, SEALS.FUTURE_WRITE);
  }
  addSeals(memfd.fd, SEALS.WRITE);
  assertEquals(getSeals(memfd.fd), SEALS.WRITE | SEALS.FUTURE_WRITE);
});

Deno.test("createMemfd() without sealing is sealed against seals", () => {
  using memfd = createMemfd("plain", { sealable: false });
  assertEquals(getSeals(memfd.fd), SEALS.SEAL);
  assertEquals(codeOf(() => addSeals(memfd.fd, SEALS.WRITE)), "EPERM");
});

Deno.test("createMemfd() with noexec seals the executable bits where the kernel can", () => {
  using memfd = createMemfd("data", { noexec: true, size: 1 });
  const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
  const known = major > 6 || (major === 6 && minor >= 3);
  assertEquals(getSeals(memfd.fd), known ? SEALS.EXEC : 0);
  if (known) assertEquals(fstat(memfd.fd).mode & 0o111, 0);
  addSeals(memfd.fd, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
  assertEquals(getSeals(memfd.fd), known ? 0x2f : 0x0f);
  assertThrows(() => createMemfd("data", { noexec: true, sealable: false }), TypeError, "noexec");
});

const NOEXEC = "/proc/sys/vm/memfd_noexec";

/** Can a test live in a PID namespace of its own, which has a `vm.memfd_noexec` of its own? Null, or why not. */
function noNoexecNamespace(): string | null {
  let reason = "this kernel has no vm.memfd_noexec";
  try {
    Deno.statSync(NOEXEC);
    const look = new Deno.Command("unshare", { args: [...NAMESPACE, "sh", "-c", `echo 1 > ${NOEXEC}`] });
    const { success, stderr } = look.outputSync();
    if (success) return null;
    reason = new TextDecoder().decode(stderr).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  console.log(`ignored: vm.memfd_noexec cannot be set for a test: ${reason}`);
  return reason;
}

const NAMESPACE = ["--map-root-user", "--pid", "--fork", "--mount-proc"];

Deno.test({
  name: "createMemfd() works under every vm.memfd_noexec",
  ignore: noNoexecNamespace() !== null,
  async fn() {
    for (const value of ["0", "1", "2"]) {
      const set = `echo ${value} > ${NOEXEC} && exec "$@"`;
      const [seals] = await runScriptForJson(
        `using memory = sys.createMemfd("x", { size: 1 });
         using plain = sys.createMemfd("y", { sealable: false });
         say(sys.getSeals(memory.fd));`,
        {},
        { prefix: ["unshare", ...NAMESPACE, "sh", "-c", set, "sh", Deno.execPath()] },
      );
      assertEquals(seals, value === "0" ? 0 : SEALS.EXEC, `vm.memfd_noexec=${value}`);
    }
  },
});

Deno.test("createMemfd() that fails leaves no descriptor", () => {
  const before = nextFreeFd();
  assertEquals(codeOf(() => createMemfd("x".repeat(250))), "EINVAL");
  assertEquals(codeOf(() => createMemfd("x".repeat(250), { noexec: true })), "EINVAL");
  assertThrows(() => createMemfd("a\0b"), TypeError);
  assertThrows(() => createMemfd("a", { size: -1 }), RangeError);
  assertThrows(() => createMemfd("a", { size: 0.5 }), RangeError);
  assertEquals(nextFreeFd(), before);
});

Deno.test("getSeals() and addSeals() say EINVAL for what is no memfd", () => {
  using file = openFile("/dev/null", { read: true, write: true });
  assertEquals(codeOf(() => getSeals(file.fd)), "EINVAL");
  assertEquals(codeOf(() => addSeals(file.fd, SEALS.WRITE)), "EINVAL");
});
