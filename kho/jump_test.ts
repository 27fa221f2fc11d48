import { assertEquals } from "@std/assert";

import { runScriptForJson } from "../sys/helpers_test.ts";

/** What the children share: a plan to jump to themselves, and everything of the process that a jump touches. */
const PRELUDE = `
  import { jump } from "${import.meta.resolve("./jump.ts")}";
  import { sampleImage } from "${import.meta.resolve("./samples_test.ts")}";
  const nonce = new Uint8Array(16).fill(7);
  const text = (entry: string) => new TextEncoder().encode(entry);
  function image(changes: object = {}) {
    return sampleImage({
      argv: [...ARGV, "jumped"],
      cwd: DIRECTORY,
      env: [...sys.initialEnvironmentBytes(), text("KEPT=yes"), new Uint8Array([0x52, 0x41, 0x57, 0x3d, 0xff])],
      exec: Deno.execPath(),
      limits: [{ name: "core", soft: 0n, hard: sys.getLimit("core").hard }],
      umask: 0o027,
      ...changes,
    });
  }
  function state() {
    using next = sys.openFile("/dev/null");
    return {
      next: next.fd,
      fds: sys.listFds().map((fd) => [fd, sys.fdLink(fd), fd === next.fd || sys.getCloexec(fd)]),
      cwd: sys.currentDirectory(),
      umask: sys.getUmask(),
      limits: [sys.getLimit("core"), sys.getLimit("nofile")],
      mask: sys.maskToHex(sys.getMask()),
    };
  }
`;

/** Tries to jump and says the error, and whether everything is as before. */
const ATTEMPT = `${PRELUDE}
  const crossing = sys.createMemfd("crossing");
  const inherited = sys.createMemfd("inherited");
  const open = sys.createMemfd("open");
  sys.setCloexec(inherited.fd, false);
  sys.setCloexec(open.fd, false);
  sys.setUmask(0o077);
  function attempt(changes: object, more: number[] = []): void {
    const before = JSON.stringify(state(), (_, v) => typeof v === "bigint" ? String(v) : v);
    const announcement = { fd: crossing.fd, nonce, role: "update" as const };
    try {
      jump({ image: image(changes), announcement, crossing: [crossing.fd, inherited.fd, ...more] });
    } catch (error) {
      const { name, code, syscall } = error as sys.SysError;
      const after = JSON.stringify(state(), (_, v) => typeof v === "bigint" ? String(v) : v);
      say([name, code ?? null, syscall ?? null, after === before ? "as before" : [before, after]]);
    }
  }
`;

Deno.test("jump() that execve refuses undoes everything", async () => {
  const script = `${ATTEMPT}
    const plain = DIRECTORY + "/plain";
    Deno.writeTextFileSync(plain, "no program", { mode: 0o644 });
    const script = DIRECTORY + "/text";
    Deno.writeTextFileSync(script, "no program", { mode: 0o755 });
    attempt({ exec: DIRECTORY + "/gone" });
    attempt({ exec: plain });
    attempt({ exec: script });
    attempt({ argv: [Deno.execPath(), "x".repeat(2 ** 22)] });
    attempt({ argv: ["nul\\0"] });
    say(await new Promise((resolve) => setTimeout(resolve, 1, "the loop turns")));
  `;
  assertEquals(await runScriptForJson(script), [
    ["SysError", "ENOENT", "execve", "as before"],
    ["SysError", "EACCES", "execve", "as before"],
    ["SysError", "ENOEXEC", "execve", "as before"],
    ["SysError", "E2BIG", "execve", "as before"],
    ["TypeError", null, null, "as before"],
    "the loop turns",
  ]);
});

Deno.test("jump() that fails before execve undoes what was done until there", async () => {
  const script = `${ATTEMPT}
    attempt({ cwd: DIRECTORY + "/gone" });
    attempt({ umask: 0o1000 });
    attempt({ limits: [{ name: "core", soft: 0n, hard: sys.getLimit("core").hard }, { name: "nofile", soft: 9n, hard: 8n }] });
    attempt({}, [999]);
  `;
  assertEquals(await runScriptForJson(script), [
    ["SysError", "ENOENT", "chdir", "as before"],
    ["RangeError", null, null, "as before"],
    ["SysError", "EINVAL", "setrlimit", "as before"],
    ["SysError", "EBADF", "fcntl", "as before"],
  ]);
});

Deno.test("jump() that fails can be tried again and then succeeds", async () => {
  const script = `${PRELUDE}
    if (Deno.args[0] === "jumped") {
      say([sys.getPid(), String(sys.startTime()), Deno.env.get("HEIRLOOM_HANDOVER")]);
      Deno.exit(0);
    }
    say([sys.getPid(), String(sys.startTime())]);
    const announcement = { fd: 3, nonce, role: "fallback" as const };
    for (const exec of [DIRECTORY + "/gone", Deno.execPath()]) {
      try {
        jump({ image: image({ exec }), announcement, crossing: [] });
      } catch (error) {
        say((error as sys.SysError).code);
      }
    }
  `;
  const [before, error, after] = await runScriptForJson(script) as [[number, string], string, unknown[]];
  assertEquals(error, "ENOENT");
  assertEquals(after, [...before, `v1:3:${"07".repeat(16)}:fallback`]);
});

Deno.test("jump() takes exactly the crossing descriptors and the surroundings of the image", async () => {
  const script = `${PRELUDE}
    if (Deno.args[0] === "jumped") {
      const { fds, cwd, umask, limits, mask } = state();
      say({
        memory: fds.filter(([, link]) => String(link).startsWith("/memfd:")),
        standard: [0, 1, 2].every((fd) => sys.isOpenFd(fd)),
        cwd: cwd === DIRECTORY || cwd === Deno.realPathSync(DIRECTORY),
        umask,
        core: limits[0]?.soft,
        env: sys.initialEnvironmentBytes().slice(-3).map((entry) => entry.toHex()),
        entries: sys.initialEnvironmentBytes().length - Number(Deno.args[1]),
        blocked: sys.maskFromHex(mask).some((byte) => byte !== 0),
      });
      Deno.exit(0);
    }
    const kept = sys.createMemfd("kept").dup(50);
    const dropped = sys.createMemfd("dropped");
    sys.setCloexec(dropped.fd, false);
    const argv = [...ARGV, "jumped", String(sys.initialEnvironmentBytes().length)];
    jump({ image: image({ argv }), announcement: { fd: kept.fd, nonce, role: "update" }, crossing: [kept.fd] });
  `;
  const [found] = await runScriptForJson(script) as [{ [key: string]: unknown }];
  const hex = (text: string): string => new TextEncoder().encode(text).toHex();
  assertEquals(found, {
    memory: [[50, "/memfd:kept (deleted)", false]],
    standard: true,
    cwd: true,
    umask: 0o027,
    core: "0",
    env: [hex("KEPT=yes"), "5241573dff", hex(`HEIRLOOM_HANDOVER=v1:50:${"07".repeat(16)}:update`)],
    entries: 3,
    blocked: true,
  });
});
