import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { currentDirectory, execve, getUmask, setUmask } from "./exec.ts";
import { nextFreeFd, runScriptForJson } from "./helpers_test.ts";

Deno.test("execve() replaces the program in the same process, with these arguments and this environment", async () => {
  const script = `
    if (sys.commandLine().at(-1) !== "last one") {
      say({ pid: sys.getPid(), started: sys.startTime() });
      sys.execve(Deno.execPath(), [...ARGV, "", "ä $HOME 'x'", "last one"], ["ONLY=this", "ODD=ä=b"]);
    }
    say({ pid: sys.getPid(), started: sys.startTime() });
    say(Deno.args);
    say(sys.initialEnvironment());
  `;
  const [before, after, args, environment] = await runScriptForJson(script, {
    HEIRLOOM_TEST: "not inherited",
  });
  assertEquals(after, before);
  assertEquals(args, ["", "ä $HOME 'x'", "last one"]);
  assertEquals(environment, [["ONLY", "this"], ["ODD", "ä=b"]]);
});

Deno.test("execve() takes hundreds of long arguments and entries", async () => {
  const script = `
    const words = Array.from({ length: 700 }, (_, i) => String(i).repeat(i));
    if (!Deno.args.includes("0")) {
      sys.execve(Deno.execPath(), [...ARGV, "0", ...words], words.map((word, i) => "V" + i + "=" + word));
    }
    say(Deno.args.slice(1).every((word, i) => word === words[i]) && Deno.args.length === 701);
    say(sys.initialEnvironment().every(([name, value], i) => name === "V" + i && value === words[i]));
  `;
  assertEquals(await runScriptForJson(script), [true, true]);
});

Deno.test("execve() keeps descriptors without close-on-exec, and no others", async () => {
  const script = `
    const [stage, kept, dropped] = Deno.args;
    if (stage !== "2") {
      const kept = sys.createMemfd("kept", { size: 1 });
      const dropped = sys.createMemfd("dropped");
      sys.pwrite(kept.fd, new Uint8Array([77]), 0);
      sys.setCloexec(kept.fd, false);
      sys.execve(Deno.execPath(), [...ARGV, "2", String(kept.fd), String(dropped.fd)], []);
    }
    const byte = new Uint8Array(1);
    sys.pread(Number(kept), byte, 0);
    say([byte[0], sys.fdLink(Number(kept))]);
    say(sys.listFds().some((fd) => sys.fdLink(fd).startsWith("/memfd:dropped")));
  `;
  assertEquals(await runScriptForJson(script), [[77, "/memfd:kept (deleted)"], false]);
});

Deno.test("execve() says why it failed, and the process goes on as it was", async () => {
  const script = `
    function attempt(path: string, argv: string[] = [path], env: string[] = []): void {
      try {
        sys.execve(path, argv, env);
      } catch (error) {
        const { name, code, syscall } = error as sys.SysError;
        say([name, code, syscall]);
      }
    }
    const pid = sys.getPid();
    const fds = sys.listFds();
    const plain = DIRECTORY + "/plain";
    Deno.writeTextFileSync(plain, "no program", { mode: 0o644 });
    const text = DIRECTORY + "/text";
    Deno.writeTextFileSync(text, "no program", { mode: 0o755 });
    attempt(DIRECTORY + "/missing");
    attempt(plain);
    attempt(DIRECTORY);
    attempt(plain + "/below");
    attempt(text);
    attempt("/bin/true", ["/bin/true", "x".repeat(2 ** 22)]);
    attempt("/bin/true", ["/bin/true"], Array.from({ length: 100 }, () => "A=" + "y".repeat(120_000)));
    say(sys.getPid() === pid && sys.listFds().join() === fds.join());
    say(await new Promise((resolve) => setTimeout(resolve, 1, "the loop turns")));
  `;
  const failed = (code: string): string[] => ["SysError", code, "execve"];
  assertEquals(await runScriptForJson(script), [
    failed("ENOENT"),
    failed("EACCES"),
    failed("EACCES"),
    failed("ENOTDIR"),
    failed("ENOEXEC"),
    failed("E2BIG"),
    failed("E2BIG"),
    true,
    "the loop turns",
  ]);
});

Deno.test("execve() refuses a NUL before it does anything", () => {
  assertThrows(() => execve("/bin/\0true", [], []), TypeError, "NUL");
  assertThrows(() => execve("/does/not/exist", ["a\0b"], []), TypeError, "NUL");
  assertThrows(() => execve("/does/not/exist", [], ["A=\0"]), TypeError, "NUL");
  assertThrows(() => execve("/does/not/exist", [], [new Uint8Array([65, 0])]), TypeError, "NUL");
  const before = nextFreeFd();
  const error = assertThrows(() => execve("/does/not/exist", [], []), SysError);
  assertEquals(error.message, 'Cannot execve "/does/not/exist": ENOENT (no such file or directory)');
  assertEquals(nextFreeFd(), before);
});

Deno.test("setUmask() sets what getUmask() reads and new files get, and answers the one before", async () => {
  const script = `
    const first = sys.setUmask(0o027);
    say([sys.getUmask(), sys.setUmask(0o077)]);
    using _file = sys.openFile(DIRECTORY + "/file", { write: true, create: true, mode: 0o777 });
    say([(Deno.statSync(DIRECTORY + "/file").mode ?? 0) & 0o777, sys.getUmask(), sys.setUmask(first)]);
    say(sys.getUmask() === first);
  `;
  assertEquals(await runScriptForJson(script), [[0o027, 0o027], [0o700, 0o077, 0o077], true]);
  assert(getUmask() <= 0o777);
  for (const mask of [-1, 0o1000, 1.5, NaN]) assertThrows(() => setUmask(mask), RangeError);
});

Deno.test("changeDirectory() goes where currentDirectory() and relative paths then are", async () => {
  const script = `
    const below = DIRECTORY + "/" + "d".repeat(200);
    Deno.mkdirSync(below);
    sys.changeDirectory(DIRECTORY);
    sys.changeDirectory("d".repeat(200));
    say(sys.currentDirectory() === Deno.realPathSync(below) && Deno.cwd() === sys.currentDirectory());
    Deno.removeSync(below);
    for (const body of [() => sys.currentDirectory(), () => sys.changeDirectory("/does/not/exist")]) {
      try {
        say(body());
      } catch (error) {
        say((error as sys.SysError).message);
      }
    }
    sys.changeDirectory("/");
  `;
  assertEquals(await runScriptForJson(script), [
    true,
    "Cannot getcwd: ENOENT (no such file or directory)",
    'Cannot chdir "/does/not/exist": ENOENT (no such file or directory)',
  ]);
  assertEquals(currentDirectory(), Deno.cwd());
});
