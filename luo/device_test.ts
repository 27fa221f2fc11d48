import { assert, assertEquals } from "@std/assert";

import { runScriptForJson } from "../sys/helpers_test.ts";
import { isOpenFd, openFile } from "../sys/mod.ts";
import { Device } from "./device.ts";
import { assertLuoError, coldWorld, warmWorld } from "./helpers_test.ts";
import { Orchestrator } from "./orchestrator.ts";

Deno.test("Device.open() is exclusive until the device is disposed", () => {
  const luo = new Orchestrator(null);
  const device = Device.open(luo);
  assertLuoError(() => Device.open(luo), "EBUSY", "it is open already");
  device[Symbol.dispose]();
  const again = Device.open(luo);
  device[Symbol.dispose]();
  assertLuoError(() => Device.open(luo), "EBUSY");
  again[Symbol.dispose]();
});

Deno.test("Device.open() leaves no descriptor behind after its end", () => {
  const free = nextFree();
  const luo = new Orchestrator(null);
  for (let round = 0; round < 3; round++) Device.open(luo)[Symbol.dispose]();
  assertEquals(nextFree(), free);
});

Deno.test("Device.createSession() takes any name of 1 to 63 bytes, case-sensitive", () => {
  using world = coldWorld();
  for (const name of ["a", "A", " ", "a/b\n", "é", "x".repeat(63), "é".repeat(31)]) {
    assertEquals(world.device.createSession(name).name, name);
  }
});

Deno.test("Device.createSession() refuses a bad name with EINVAL and leaves no descriptor behind", () => {
  using world = coldWorld();
  const free = nextFree();
  for (const name of ["", "x".repeat(64), "é".repeat(32), "a\0b", "\0", "\ud800"]) {
    assertLuoError(() => world.device.createSession(name), "EINVAL", "a name has 1 to 63 bytes");
  }
  assertEquals(nextFree(), free);
});

Deno.test("Device.createSession() refuses a name in use among outgoing sessions, until that is closed", () => {
  using world = warmWorld({ web: [] });
  const session = world.device.createSession("web");
  assertLuoError(() => world.device.createSession("web"), "EEXIST", '"web": the name is in use');
  const free = nextFree();
  assertLuoError(() => world.device.createSession("web"), "EEXIST");
  assertEquals(nextFree(), free);
  session[Symbol.dispose]();
  world.device.createSession("web");
});

Deno.test("Device.retrieveSession() is ENOENT for what did not arrive, also for an own session", () => {
  using world = warmWorld({ web: [] });
  world.device.createSession("own");
  const free = nextFree();
  for (const name of ["own", "other", "", "x".repeat(100)]) {
    assertLuoError(() => world.device.retrieveSession(name), "ENOENT");
  }
  assertEquals(nextFree(), free);
});

Deno.test("Device.retrieveSession() gives a session once while it is open", () => {
  using world = warmWorld({ web: [1n] });
  const session = world.device.retrieveSession("web");
  const free = nextFree();
  assertLuoError(() => world.device.retrieveSession("web"), "EINVAL", "it was retrieved already");
  assertEquals(nextFree(), free);
  session.finish();
  assertLuoError(() => world.device.retrieveSession("web"), "EINVAL");
  session[Symbol.dispose]();
  assertLuoError(() => world.device.retrieveSession("web"), "ENOENT");
});

Deno.test("Device sessions outlive it, and stay for the next opening", () => {
  const world = warmWorld({ web: [1n] });
  const [outgoing, incoming] = [world.device.createSession("out"), world.device.retrieveSession("web")];
  world.device[Symbol.dispose]();
  assertLuoError(() => world.device.createSession("x"), "EBADF", "the device is closed");
  assertLuoError(() => world.device.retrieveSession("web"), "EBADF");
  incoming.retrieveFd(1n)[Symbol.dispose]();
  assert(!outgoing.closed);
  using again = Device.open(world.luo);
  assertLuoError(() => again.createSession("out"), "EEXIST");
  assertLuoError(() => again.retrieveSession("web"), "EINVAL");
  assertEquals(again.number, 4n);
});

Deno.test("Device and sessions take one descriptor each", () => {
  const free = nextFree();
  const world = coldWorld();
  const session = world.device.createSession("web");
  assert(isOpenFd(free) && isOpenFd(free + 1));
  session[Symbol.dispose]();
  world[Symbol.dispose]();
  assertEquals(nextFree(), free);
});

/** What the children share. */
const PRELUDE = `
  import { Device } from "${import.meta.resolve("./device.ts")}";
  import { Orchestrator } from "${import.meta.resolve("./orchestrator.ts")}";
  import { registerBuiltins } from "${import.meta.resolve("../handlers/mod.ts")}";
  import { orchestrator } from "${import.meta.resolve("./process.ts")}";
  const codeOf = (body: () => unknown): string => {
    try {
      body();
      return "ok";
    } catch (error) {
      return (error as { name: string }).name + " " + (error as { code: string }).code;
    }
  };
`;

Deno.test("Device.open() is EOPNOTSUPP with HEIRLOOM=off, and only with that", async () => {
  const script = `${PRELUDE}
    say(codeOf(() => Device.open()));
    say(codeOf(() => Device.open(new Orchestrator(null))));
  `;
  const off = ["LuoError EOPNOTSUPP", "LuoError EOPNOTSUPP"];
  assertEquals(await runScriptForJson(script, { HEIRLOOM: "off" }), off);
  assertEquals(await runScriptForJson(script, { HEIRLOOM: "on" }), ["ok", "ok"]);
});

Deno.test("Device of the process is the one of its orchestrator", async () => {
  const script = `${PRELUDE}
    const device = Device.open();
    say(codeOf(() => Device.open(orchestrator())));
    say(orchestrator() === orchestrator());
    device[Symbol.dispose]();
    say(codeOf(() => Device.open()));
  `;
  assertEquals(await runScriptForJson(script), ["LuoError EBUSY", true, "ok"]);
});

Deno.test("Device answers EMFILE before it looks at names, and goes on when there are descriptors again", async () => {
  const script = `${PRELUDE}
    const luo = orchestrator();
    registerBuiltins(luo.registry);
    const device = Device.open();
    const session = device.createSession("exh");
    const memory = sys.createMemfd("m");
    const limit = sys.getLimit("nofile");
    const full = (body: () => void) => {
      const highest = Math.max(...sys.listFds());
      sys.setLimit("nofile", { soft: BigInt(highest + 1), hard: limit.hard });
      const filled: { [Symbol.dispose](): void }[] = [];
      try {
        for (;;) filled.push(memory.dup());
      } catch { /* full */ }
      body();
      for (const each of filled) each[Symbol.dispose]();
      sys.setLimit("nofile", limit);
    };
    full(() => {
      say(codeOf(() => device.createSession("exh")));
      say(codeOf(() => device.createSession("")));
      say(codeOf(() => device.retrieveSession("nope")));
      say(codeOf(() => session.retrieveFd(1n)));
      say(codeOf(() => session.preserveFd(memory, 1n)));
      say(codeOf(() => Device.open(new Orchestrator(null))));
    });
    say(session.files().length);
    say(codeOf(() => session.preserveFd(memory, 1n)));
    say(codeOf(() => device.createSession("exh")));
  `;
  assertEquals(await runScriptForJson(script), [
    "LuoError EMFILE",
    "LuoError EMFILE",
    "LuoError EMFILE",
    "LuoError EINVAL",
    "LuoError EMFILE",
    "LuoError EMFILE",
    0,
    "ok",
    "LuoError EEXIST",
  ]);
});

Deno.test("Session.retrieveFd() without a free descriptor is EMFILE and spends nothing", async () => {
  const script = `${PRELUDE}
    import { encodeLuo } from "${import.meta.resolve("../kho/abi/luo.ts")}";
    import { makeIncoming } from "${import.meta.resolve("../kho/samples_test.ts")}";
    const file = sys.createMemfd("m");
    let asked = 0;
    const files = [{ compatible: "lender-v1", data: 1n, token: 1n }];
    const bytes = encodeLuo({ flbs: [], number: 1n, sessions: [{ name: "web", files }] });
    const luo = new Orchestrator(makeIncoming({ subtrees: { luo: bytes } }));
    luo.registry.register({
      compatible: "lender-v1",
      canPreserve: () => false,
      preserve: () => {},
      unpreserve: () => {},
      retrieve: () => (asked++, file.fd),
      finish: () => {},
    });
    const device = Device.open(luo);
    const session = device.retrieveSession("web");
    const limit = sys.getLimit("nofile");
    const filled = [sys.createMemfd("fill")];
    sys.setLimit("nofile", { soft: BigInt(Math.max(...sys.listFds()) + 1), hard: limit.hard });
    try {
      for (;;) filled.push(file.dup());
    } catch { /* full */ }
    say(codeOf(() => session.retrieveFd(1n)));
    say(codeOf(() => session.retrieveFd(9n)));
    say(asked);
    say(codeOf(() => device.retrieveSession("web")));
    for (const each of filled) each[Symbol.dispose]();
    say(codeOf(() => session.retrieveFd(1n)));
    say(asked);
  `;
  // As in the kernel, the number is reserved before anything is looked at: no handler was asked, no token looked up.
  const emfile = "LuoError EMFILE";
  assertEquals(await runScriptForJson(script), [emfile, emfile, 0, emfile, "ok", 1]);
});

function nextFree(): number {
  using file = openFile("/dev/null");
  return file.fd;
}
