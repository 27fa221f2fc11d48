import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { setCloexec } from "./fd.ts";
import { openFile, readFile } from "./file.ts";
import { makePipe, nextFreeFd, runScriptForJson, waitUntil, withSameFds } from "./helpers_test.ts";
import { createMemfd } from "./memfd.ts";
import { childPids } from "./proc.ts";
import { type ExitStatus, waitNoHang } from "./process.ts";
import { type SpawnOptions, spawnProcess } from "./spawn.ts";

/** Runs a shell and gives what it wrote. */
async function shell(body: string, changes: Partial<SpawnOptions> = {}): Promise<string> {
  const [reading, writing] = makePipe();
  using source = reading;
  let status: ExitStatus | null = null;
  {
    using sink = writing;
    const fds: SpawnOptions["fds"] = [[sink.fd, 1], ...changes.fds ?? []];
    const pid = spawnProcess({ path: "/bin/sh", argv: ["sh", "-c", body], env: [], ...changes, fds });
    await waitUntil(() => (status = waitNoHang(pid)) !== null, `the end of pid ${pid}`);
  }
  const text = new TextDecoder().decode(readFile(`/proc/self/fd/${source.fd}`));
  assertEquals((status as ExitStatus | null)?.code, 0, text);
  return text;
}

Deno.test("spawnProcess() gives a child its arguments, its environment and its directory", async () => {
  const odd = new Uint8Array([0x4f, 0x44, 0x44, 0x3d, 0xff]);
  const env = ["A=b c", odd];
  const body = `echo "$0|$1|$(/bin/pwd)"; /usr/bin/env -0 | /usr/bin/od -An -tx1`;
  const text = await shell(body, { argv: ["sh", "-c", body, "zero", "ä b"], env, cwd: "/usr" });
  const [first, ...dump] = text.split("\n");
  assertEquals(first, "zero|ä b|/usr");
  const bytes = dump.join(" ").split(/\s+/).join("");
  assert(bytes.includes("413d62206300") && bytes.includes("4f44443dff00"), bytes);
});

Deno.test("spawnProcess() gives a child these descriptors at these numbers and no others", async () => {
  using leaking = createMemfd("leaking");
  setCloexec(leaking.fd, false);
  using low = createMemfd("a");
  using other = createMemfd("b");
  using high = createMemfd("c").dup(200);
  const text = await shell("ls -l /proc/$$/fd", {
    fds: [[low.fd, 5], [other.fd, low.fd === 9 ? 8 : 9], [high.fd, 7], [0, 0]],
  });
  const links = Object.fromEntries([...text.matchAll(/ (\d+) -> (\S+)/g)].map(([, fd, link]) => [fd, link]));
  assertEquals([links[5], links[low.fd === 9 ? 8 : 9], links[7]], ["/memfd:a", "/memfd:b", "/memfd:c"]);
  assertEquals(Object.keys(links).sort(), ["0", "1", "2", "5", "7", low.fd === 9 ? "8" : "9"].sort());
});

Deno.test("spawnProcess() exchanges numbers that are each other's", async () => {
  const script = `
    const { spawnProcess } = await import(${JSON.stringify(import.meta.resolve("./guard.ts"))});
    const fds = ["x", "y", "z"].map((name) => sys.createMemfd(name));
    const [x, y, z] = fds.map(({ fd }) => fd);
    const before = sys.listFds().join();
    const out = sys.openFile(DIRECTORY + "/out", { write: true, create: true });
    const pid = spawnProcess({
      path: "/bin/sh",
      argv: ["sh", "-c", "for f in " + [x, y, z].join(" ") + "; do readlink /proc/$$/fd/$f; done"],
      env: [],
      fds: [[x, y], [y, z], [z, x], [out.fd, 1]],
    });
    while (sys.waitNoHang(pid) === null) await new Promise((resolve) => setTimeout(resolve, 5));
    out[Symbol.dispose]();
    say(Deno.readTextFileSync(DIRECTORY + "/out").trim().split("\\n"));
    say(sys.listFds().join() === before);
    say(fds.map(({ fd }) => [sys.fdLink(fd), sys.getCloexec(fd)]));
  `;
  assertEquals(await runScriptForJson(script), [
    ["/memfd:z", "/memfd:x", "/memfd:y"].map((link) => `${link} (deleted)`),
    true,
    ["x", "y", "z"].map((name) => [`/memfd:${name} (deleted)`, true]),
  ]);
});

Deno.test("spawnProcess() opens the mask and leaves ignored signals ignored, but not SIGPIPE", async () => {
  const script = `
    const { spawnProcess } = await import(${JSON.stringify(import.meta.resolve("./guard.ts"))});
    const masks = () => {
      const out = sys.openFile(DIRECTORY + "/out", { write: true, create: true, truncate: true });
      const pid = spawnProcess({
        path: "/bin/sh",
        argv: ["sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status"],
        env: ["PATH=/usr/bin:/bin"],
        fds: [[out.fd, 1]],
      });
      while (sys.waitNoHang(pid) === null) { /* it takes a moment */ }
      return Deno.readTextFileSync(DIRECTORY + "/out").match(/[0-9a-f]{16}/g)?.map((mask) => parseInt(mask.slice(8), 16) & 0x7fffffff);
    };
    sys.blockForExec();
    say(masks());
  `;
  const [plain] = await runScriptForJson(script) as [number[]];
  assertEquals(plain, [0, 0]);
  const [path, ...args] = ["/bin/sh", "-c", `trap '' HUP; exec "$0" "$@"`, Deno.execPath()];
  assert(path !== undefined);
  const nohup = await runScriptForJson(script, {}, { prefix: [path, ...args] }) as [number[]];
  assertEquals(nohup[0], [0, 1]);
});

Deno.test("spawnProcess() that cannot start the program says why and leaves nothing", () => {
  withSameFds(() => {
    using file = openFile("/dev/null");
    const children = childPids();
    const free = nextFreeFd();
    const start = (changes: Partial<SpawnOptions>): string =>
      assertThrows(
        () => spawnProcess({ path: "/bin/true", argv: ["true"], env: [], fds: [[file.fd, 3]], ...changes }),
        SysError,
      ).code;
    assertEquals(start({ path: "/does/not/exist" }), "ENOENT");
    assertEquals(start({ path: "/etc" }), "EACCES");
    assertEquals(start({ fds: [[0x7ffffff0, 3]] }), "EBADF");
    assertEquals(start({ cwd: "/does/not/exist" }), "ENOENT");
    assertEquals(childPids(), children);
    assertThrows(() => spawnProcess({ path: "/bin/\0", argv: [], env: [], fds: [] }), TypeError);
    assertThrows(
      () => spawnProcess({ path: "/bin/true", argv: [], env: [], fds: [[0, 3], [1, 3]] }),
      RangeError,
    );
    assertEquals(nextFreeFd(), free);
  });
});

Deno.test("spawnProcess() refuses what another owner has closed", () => {
  const gone = createMemfd("gone");
  const number = gone.fd;
  gone[Symbol.dispose]();
  const options = { path: "/bin/true", argv: ["true"], env: [], fds: [[number, 3]] as const };
  assertEquals(assertThrows(() => spawnProcess(options), SysError).code, "EBADF");
});

Deno.test("spawnProcess() leads a process group of its own only if that was asked for", async () => {
  const groups = "read -r _ _ _ _ group _ </proc/$$/stat; test $group = $$ && echo own || echo ours";
  assertEquals(await shell(groups, { argv: ["sh", "-c", groups] }), "ours\n");
  assertEquals(await shell(groups, { argv: ["sh", "-c", groups], group: true }), "own\n");
});
