import { assertEquals } from "@std/assert";

import { runScriptForJson } from "../sys/helpers_test.ts";

/** What the children share: a session with a memfd, and a plan to start themselves again. */
const PRELUDE = `
  import { Journal } from "${import.meta.resolve("../kho/journal.ts")}";
  import { takeOver } from "${import.meta.resolve("../kho/incoming.ts")}";
  import { sampleImage } from "${import.meta.resolve("../kho/samples_test.ts")}";
  import { buildSegment } from "${import.meta.resolve("../kho/segment_build.ts")}";
  import { memfdHandler } from "${import.meta.resolve("../handlers/memfd.ts")}";
  import { Device } from "${import.meta.resolve("./device.ts")}";
  import { orchestrator, receiveHandover } from "${import.meta.resolve("./process.ts")}";
  import { reboot, type RebootPlan } from "${import.meta.resolve("./reboot.ts")}";
  const incoming = await takeOver();
  const luo = incoming === null ? orchestrator() : receiveHandover(incoming);
  const calls: string[] = [];
  luo.registry.register({
    ...memfdHandler,
    freeze: (args) => (calls.push("freeze " + args.token), memfdHandler.freeze?.(args)),
    unfreeze: (args) => void calls.push("unfreeze " + args.token),
  });
  const device = Device.open(luo);
  const journal = Journal.create();
  const inherited = sys.createMemfd("inherited");
  const image = sampleImage({
    argv: ARGV,
    cwd: DIRECTORY,
    env: sys.initialEnvironmentBytes(),
    exec: Deno.execPath(),
    limits: [],
  });
  const plan: RebootPlan = {
    image,
    next: image,
    journal,
    inherited: [],
    count: 0n,
    subtrees: () => [["live", new Uint8Array([1, 2])]],
    build: buildSegment,
  };
  function preserved(name: string, token: bigint): void {
    const session = device.createSession(name);
    using memory = sys.createMemfd("m" + token);
    sys.writeAll(memory.fd, new Uint8Array([Number(token)]));
    session.preserveFd(memory, token);
  }
  const mask = () => sys.maskToHex(sys.getMask());
  const phases = () => journal.entries().map(({ phase }) => phase);
  function attempt(changes: Partial<RebootPlan>): unknown {
    try {
      reboot(luo, { ...plan, ...changes });
    } catch (error) {
      const { name, code } = error as { name: string; code?: string };
      return [name, code ?? null];
    }
  }
`;

Deno.test("reboot() hands sessions, subtrees, journal and descriptors to the next image", async () => {
  const script = `${PRELUDE}
    if (incoming !== null) {
      const session = device.retrieveSession("web");
      using file = session.retrieveFd(7n);
      const byte = new Uint8Array(1);
      sys.pread(file.fd, byte, 0);
      say([device.number, device.sessions().map(({ name }) => name), byte[0], sys.seek(file.fd, 0, "cur")]);
      say([[...incoming.subtree("live") ?? []], incoming.journal?.entries().map(({ phase }) => phase)]);
      say([incoming.role, incoming.record.metadata.count, incoming.record.fds.map(({ kind }) => kind).sort()]);
      say(incoming.inherited().map(({ fd }) => [sys.fdLink(fd), sys.getCloexec(fd)]));
      Deno.exit(0);
    }
    preserved("web", 7n);
    device.createSession("empty");
    sys.setCloexec(inherited.fd, false);
    const written = (segment: { bytes: number; fds: number }) => say(segment.bytes > 0 && segment.fds === 3);
    attempt({ inherited: [inherited.fd], count: 4n, written });
  `;
  assertEquals(await runScriptForJson(script), [
    true,
    ["1", ["web", "empty"], 7, 1],
    [[1, 2], ["freezing", "jumping"]],
    ["update", "5", ["inherited", "journal", "preserved"]],
    [["/memfd:inherited (deleted)", false]],
  ]);
});

Deno.test("reboot() that fails at any step leaves everything as before, and can be tried again", async () => {
  const script = `${PRELUDE}
    if (incoming !== null) {
      say([device.number, device.retrieveSession("two").files().length]);
      Deno.exit(0);
    }
    preserved("one", 1n);
    preserved("two", 2n);
    const state = () => JSON.stringify([
      luo.outgoing.fds().map(({ fd }) => fd),
      luo.outgoing.subtrees().map(({ name }) => name),
      sys.listFds().map((fd) => [fd, sys.fdLink(fd), sys.getCloexec(fd)]),
      mask(),
    ]);
    const boom = (): never => {
      throw new RangeError("boom");
    };
    const before = state();
    const failures: Partial<RebootPlan>[] = [
      { next: { ...image, exec: DIRECTORY + "/gone" } },
      { build: boom },
      { written: boom },
      { subtrees: boom },
      { subtrees: () => [["live", new Uint8Array()], ["live", new Uint8Array()]] },
      { inherited: [999] },
      { inherited: [inherited.fd, inherited.fd] },
    ];
    for (const failure of failures) {
      say([attempt(failure), state() === before, calls.splice(0)]);
      device.createSession("free")[Symbol.dispose]();
    }
    say(phases());
    attempt({});
  `;
  const frozen = ["freeze 1", "freeze 2", "unfreeze 2", "unfreeze 1"];
  assertEquals(await runScriptForJson(script), [
    [["SysError", "ENOENT"], true, frozen],
    [["RangeError", null], true, frozen],
    [["RangeError", null], true, frozen],
    [["RangeError", null], true, frozen],
    [["HandoverError", "EEXIST"], true, frozen],
    [["SysError", "EBADF"], true, frozen],
    [["HandoverError", "EEXIST"], true, frozen],
    // Only the first got as far as the jump.
    ["freezing", "jumping", ...Array(6).fill("freezing")],
    ["1", 1],
  ]);
});

Deno.test("reboot() refuses when a handler does, and when a preserved descriptor was swapped", async () => {
  const script = `${PRELUDE}
    preserved("web", 1n);
    const session = device.createSession("other");
    using memory = sys.createMemfd("m");
    session.preserveFd(memory, 2n);
    const before = mask();
    const held = session.files()[0]?.fd ?? -1;
    sys.closeFd(held);
    if (sys.createMemfd("swapped").release() !== held) throw new Error("another number");
    say([attempt({}), mask() === before, luo.outgoing.subtrees().length]);
    say(calls.splice(0));
    const handler = luo.registry.get("memfd-v1");
    if (handler) handler.freeze = () => { throw Object.assign(new Error("no"), { code: "EAGAIN" }); };
    say([attempt({}), mask() === before, luo.outgoing.subtrees().length]);
  `;
  assertEquals(await runScriptForJson(script), [
    [["HandoverError", "WRONG_DESCRIPTOR"], true, 0],
    ["freeze 1", "freeze 2", "unfreeze 2", "unfreeze 1"],
    [["LuoError", "EAGAIN"], true, 0],
  ]);
});

Deno.test("receiveHandover() comes first or not at all", async () => {
  const script = `
    import { makeIncoming } from "${import.meta.resolve("../kho/samples_test.ts")}";
    import { orchestrator, receiveHandover } from "${import.meta.resolve("./process.ts")}";
    const luo = receiveHandover(makeIncoming({}));
    say(luo === orchestrator() && luo.incomingKho().role === "update");
    try {
      receiveHandover(makeIncoming({}));
    } catch (error) {
      say((error as Error).message);
    }
  `;
  assertEquals(await runScriptForJson(script), [
    true,
    "Cannot receive the handover: the orchestrator exists already",
  ]);
});
