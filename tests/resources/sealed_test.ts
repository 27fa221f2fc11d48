import { assert, assertEquals, assertThrows } from "@std/assert";
import { waitFor } from "../../testing/mod.ts";
import { getSeals, Mapping, openFile, pwrite, SEALS, SysError, truncate } from "../../sys/mod.ts";
import { LIBRARY } from "../update/_fixtures.ts";
import { attach, type Attached } from "./_attached.ts";
import { carries, descriptorOf, type Stage } from "./_kit.ts";

const SIZE = 4096;

/** Statements that take a memfd with a content, and with seals when it is made. */
const memfd = (name: string, seals: string): string => `
const ${name} = await live.inherit("${name}", () => {
  const made = sys.createMemfd("${name}", { size: ${SIZE}, noexec: true });
  sys.pwrite(made.fd, new TextEncoder().encode("sealed: ${name}"), 0);
  ${seals === "" ? "" : `sys.addSeals(made.fd, ${seals});`}
  return made;
}, { type: "memfd" });
`;

const SYS = `import * as sys from "${LIBRARY.replace("mod.ts", "sys/mod.ts")}";`;

/** The path under which other processes open memory of the service. */
async function pathOf({ app }: Stage, name: string): Promise<string> {
  const { fd } = await descriptorOf(app, name);
  return `/proc/${app.pid}/fd/${fd}`;
}

const WHOLE = SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE;

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

Deno.test("memfds sealed against writing, or against another size, stay sealed for the service and for others", async (t) => {
  let mapped: Mapping | null = null;
  await carries(t, {
    before: SYS,
    use: memfd("whole", String(WHOLE)) + memfd("size", String(SEALS.SHRINK | SEALS.GROW)),
    routes: `
      if (path === "/try") {
        const tried = [() => sys.pwrite(whole.fd, new Uint8Array(1), 0), () => sys.truncate(size.fd, 1),
          () => sys.truncate(size.fd, ${SIZE + 1}), () => sys.addSeals(whole.fd, 16)];
        return Response.json(tried.map((body) => { try { body(); } catch (error) { return error.code; } }));
      }`,
    async prepare(stage) {
      using file = openFile(await pathOf(stage, "whole"));
      mapped = Mapping.map(file.fd, SIZE, { writable: false });
    },
    async look(stage) {
      using whole = openFile(await pathOf(stage, "whole"), { read: true, write: true });
      using size = openFile(await pathOf(stage, "size"), { read: true, write: true });
      const text = new TextDecoder().decode(mapped!.bytes.slice(0, 13));
      return [
        getSeals(whole.fd),
        getSeals(size.fd),
        text,
        (await Deno.stat(await pathOf(stage, "whole"))).ino,
      ];
    },
    async works(stage) {
      using whole = openFile(await pathOf(stage, "whole"), { read: true, write: true });
      using size = openFile(await pathOf(stage, "size"), { read: true, write: true });
      assertEquals(getSeals(whole.fd) & WHOLE, WHOLE);
      assertEquals(codeOf(() => pwrite(whole.fd, new Uint8Array(1), 0)), "EPERM");
      assertEquals(codeOf(() => truncate(size.fd, 1)), "EPERM");
      pwrite(size.fd, new Uint8Array([1]), SIZE - 1);
      assertEquals(JSON.parse(await stage.ask("/try")), ["EPERM", "EPERM", "EPERM", "EPERM"]);
      assertEquals(new TextDecoder().decode(mapped!.bytes.slice(0, 13)), "sealed: whole");
    },
  });
  (mapped as Mapping | null)?.[Symbol.dispose]();
});

Deno.test("a memfd sealed against future writers keeps the writer that it had before, without a gap", async (t) => {
  let writer: Attached | null = null;
  const counted = async ({ ask }: Stage): Promise<bigint> => BigInt(await ask("/counted"));
  try {
    await carries(t, {
      before: SYS,
      use: memfd("future", ""),
      routes: `
        if (path === "/seal") { sys.addSeals(future.fd, ${SEALS.FUTURE_WRITE}); return new Response("sealed"); }
        if (path === "/counted") {
          const bytes = new Uint8Array(8);
          sys.pread(future.fd, bytes, 1024);
          return new Response(String(new BigUint64Array(bytes.buffer)[0]));
        }`,
      async prepare(stage) {
        writer = await attach(await pathOf(stage, "future"), { cell: 128 });
        assertEquals(await stage.ask("/seal"), "sealed");
      },
      async look(stage) {
        using file = openFile(await pathOf(stage, "future"), { read: true, write: true });
        const { ino } = await Deno.stat(`/proc/self/fd/${file.fd}`);
        return [getSeals(file.fd), String(ino) === writer!.inode, writer!.ended];
      },
      async works(stage) {
        const before = await counted(stage);
        await waitFor(async () => await counted(stage) > before, {
          what: "the writer to go on",
          timeoutMs: 30_000,
        });
        using file = openFile(await pathOf(stage, "future"), { read: true, write: true });
        assert((getSeals(file.fd) & SEALS.FUTURE_WRITE) !== 0);
        assertEquals(codeOf(() => Mapping.map(file.fd, SIZE, { writable: true })), "EPERM");
        assertEquals(codeOf(() => pwrite(file.fd, new Uint8Array(1), 0)), "EPERM");
      },
    });
    assert(await writer!.detach() > 0n);
  } finally {
    await (writer as Attached | null)?.detach();
  }
});

Deno.test({
  name: "a memfd sealed against execution stays so",
  ignore: !hasExecSeal(),
  async fn(t) {
    await carries(t, {
      before: SYS,
      use: memfd("data", "0"),
      async look(stage) {
        const path = await pathOf(stage, "data");
        using file = openFile(path, { read: true, write: true });
        return [getSeals(file.fd), (await Deno.stat(path)).mode! & 0o777];
      },
      async works(stage) {
        const path = await pathOf(stage, "data");
        using file = openFile(path, { read: true, write: true });
        assert((getSeals(file.fd) & SEALS.EXEC) !== 0);
        await Deno.chmod(path, 0o755).then(() => assert(false, "it can be executed"), () => {});
      },
    });
  },
});

/** Does this kernel know `MFD_NOEXEC_SEAL` (Linux 6.3)? */
function hasExecSeal(): boolean {
  try {
    Deno.statSync("/proc/sys/vm/memfd_noexec");
    return true;
  } catch {
    console.log("ignored: this kernel has no seal against execution (Linux 6.3)");
    return false;
  }
}
