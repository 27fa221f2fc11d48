import { assert, assertEquals, assertThrows } from "@std/assert";

import { encodeLuo } from "../kho/abi/luo.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { Device } from "./device.ts";
import type { OutgoingArgs } from "./handler.ts";
import {
  arrived,
  assertLuoError,
  coldWorld,
  traceable,
  TRACED,
  TracingHandler,
  warmWorld,
  type World,
} from "./helpers_test.ts";
import { Orchestrator } from "./orchestrator.ts";
import type { Session } from "./session.ts";

/** Two sessions with two files each, in an order of tokens that no sorting would give. */
function filled(world: World): [Session, Session] {
  const [one, two] = [world.device.createSession("one"), world.device.createSession("two")] as const;
  for (const session of [one, two]) {
    for (const token of [3n, 1n]) {
      using file = traceable();
      session.preserveFd(file, token);
    }
  }
  world.handler.takeCalls();
  return [one, two];
}

Deno.test("Orchestrator.freeze() freezes sessions and files first to last and gives the record", () => {
  using world = coldWorld();
  filled(world);
  world.device.createSession("empty");
  assertEquals(world.luo.freeze(), {
    flbs: [],
    number: 1n,
    sessions: [
      {
        name: "one",
        files: [{ compatible: TRACED, data: 1103n, token: 3n }, {
          compatible: TRACED,
          data: 1101n,
          token: 1n,
        }],
      },
      {
        name: "two",
        files: [{ compatible: TRACED, data: 1103n, token: 3n }, {
          compatible: TRACED,
          data: 1101n,
          token: 1n,
        }],
      },
      { name: "empty", files: [] },
    ],
  });
  assertEquals(world.handler.takeCalls(), ["freeze one/3", "freeze one/1", "freeze two/3", "freeze two/1"]);
});

Deno.test("Orchestrator.unfreeze() goes through sessions last to first and files first to last", () => {
  using world = coldWorld();
  filled(world);
  world.luo.freeze();
  world.handler.takeCalls();
  world.luo.unfreeze();
  assertEquals(world.handler.takeCalls(), [
    "unfreeze two/3",
    "unfreeze two/1",
    "unfreeze one/3",
    "unfreeze one/1",
  ]);
});

Deno.test("Orchestrator.freeze() that fails at a file unfreezes what was frozen, and not that file", () => {
  const cases: [failing: string, calls: string[]][] = [
    ["freeze one/3", ["freeze one/3"]],
    ["freeze one/1", ["freeze one/3", "freeze one/1", "unfreeze one/3"]],
    ["freeze two/3", ["freeze one/3", "freeze one/1", "freeze two/3", "unfreeze one/3", "unfreeze one/1"]],
    [
      "freeze two/1",
      [
        ...["freeze one/3", "freeze one/1", "freeze two/3", "freeze two/1"],
        ...["unfreeze two/3", "unfreeze one/3", "unfreeze one/1"],
      ],
    ],
  ];
  for (const [failing, calls] of cases) {
    using world = coldWorld();
    const [one, two] = filled(world);
    world.handler.failing.set(failing, Object.assign(new Error("not now"), { code: "EAGAIN" }));
    const [, session, token] = failing.match(/ (\w+)\/(\d)/) ?? [];
    const text = `Cannot freeze token ${token} of session "${session}": handler "${TRACED}": not now`;
    assertLuoError(() => world.luo.freeze(), "EAGAIN", text);
    assertEquals(world.handler.takeCalls(), calls, failing);
    world.handler.failing.clear();
    assertEquals(world.luo.freeze().sessions.length, 2);
    world.luo.unfreeze();
    world.handler.takeCalls();
    for (const each of [one, two]) each[Symbol.dispose]();
    const closed = ["unpreserve one/1", "unpreserve one/3", "unpreserve two/1", "unpreserve two/3"];
    assertEquals(world.handler.takeCalls(), closed);
  }
});

Deno.test("Orchestrator keeps a handle through a failed freeze, for unpreserve", () => {
  using world = coldWorld();
  const session = world.device.createSession("web");
  for (const token of [1n, 2n]) {
    using file = traceable();
    session.preserveFd(file, token);
  }
  world.handler.failing.set("freeze web/2", new Error("no"));
  assertLuoError(() => world.luo.freeze(), "EIO", "no");
  session.unpreserveFd(2n);
  assertEquals((world.handler.last.get("unpreserve") as OutgoingArgs).serializedData, 102n);
  session.unpreserveFd(1n);
  const { serializedData, privateData } = world.handler.last.get("unpreserve") as OutgoingArgs;
  assertEquals([serializedData, privateData], [1101n, "private 1"]);
});

Deno.test("Orchestrator refuses every change while an update freezes, and allows it again after", () => {
  using world = warmWorld({ web: [1n] });
  const [one] = filled(world);
  const incoming = world.device.retrieveSession("web");
  world.luo.freeze();
  using file = traceable();
  const changes = [
    () => world.device.createSession("new"),
    () => world.device.retrieveSession("web"),
    () => one.preserveFd(file, 9n),
    () => one.unpreserveFd(3n),
    () => one[Symbol.dispose](),
    () => incoming.retrieveFd(1n),
    () => incoming.finish(),
    () => world.luo.freeze(),
  ];
  for (const change of changes) assertLuoError(change, "EBUSY", "an update is freezing");
  world.luo.unfreeze();
  one.preserveFd(file, 9n);
  incoming.finish();
  assertEquals(one.closed, false);
});

Deno.test("Orchestrator.freeze() carries no incoming session on, retrieved or not", () => {
  using world = warmWorld({ left: [1n], taken: [2n] });
  using session = world.device.retrieveSession("taken");
  session.retrieveFd(2n)[Symbol.dispose]();
  assertEquals(world.luo.freeze(), { flbs: [], number: 5n, sessions: [] });
  world.luo.unfreeze();
});

Deno.test("Orchestrator.number is 0 at first, the handed-over one after an update, and the old one after a return", () => {
  using cold = coldWorld();
  assertEquals(cold.device.number, 0n);
  for (const [role, number] of [["update", 4n], ["store", 4n], ["fallback", 3n], ["recovery", 3n]] as const) {
    using world = warmWorld({}, role, 4n);
    assertEquals(world.device.number, number, role);
  }
});

Deno.test("Orchestrator.sessions() are the outgoing ones, then the incoming ones, in their order", () => {
  using world = warmWorld({ b: [], a: [] });
  world.device.createSession("z");
  world.device.createSession("b");
  const found = world.device.sessions().map(({ name, direction }) => `${direction} ${name}`);
  assertEquals(found, ["outgoing z", "outgoing b", "incoming b", "incoming a"]);
});

Deno.test("Orchestrator cannot read a handover: EIO at every opening, with the reason", () => {
  const file = (token: bigint, compatible = TRACED) => ({ compatible, data: 1n, token });
  const cases: [Orchestrator, string][] = [
    [
      new Orchestrator(arrived([{ name: "web", files: [file(5n, "other-v1")] }])),
      'token 5 of session "web": no handler is called "other-v1"',
    ],
    [
      new Orchestrator(arrived([{ name: "web", files: [file(1n), file(1n)] }])),
      'session "web": token 1 is there twice',
    ],
    [
      new Orchestrator(arrived([{ name: "web", files: [] }, { name: "web", files: [] }])),
      'session "web": the name is there twice',
    ],
    [new Orchestrator(makeIncoming({ subtrees: { luo: new Uint8Array([0xff]) } })), "Cannot read luo"],
    [withFlbs(1n, 1n), 'FLB "f" of the handover: the name is there twice'],
    [withFlbs(0n), 'FLB "f" of the handover: nothing depends on it'],
  ];
  for (const [luo, text] of cases) {
    luo.registry.register(new TracingHandler());
    const errors = [0, 1].map(() => assertThrows(() => Device.open(luo)));
    assert(errors[0] === errors[1]);
    assertLuoError(() => Device.open(luo), "EIO", text);
    assertEquals(luo.deviceOpen, false);
  }
});

function withFlbs(...counts: bigint[]): Orchestrator {
  const flbs = counts.map((count) => ({ compatible: "f", count, data: 0n }));
  return new Orchestrator(makeIncoming({ subtrees: { luo: encodeLuo({ flbs, number: 1n, sessions: [] }) } }));
}

Deno.test("Orchestrator is cold when a handover has no sessions at all", () => {
  const luo = new Orchestrator(makeIncoming({}));
  using device = Device.open(luo);
  assertEquals([device.number, device.sessions().length], [0n, 0]);
  assertLuoError(() => new Orchestrator(null).incomingKho(), "ENOENT");
});

Deno.test("Orchestrator calls no handler to read a handover", () => {
  using world = warmWorld({ web: [1n] });
  assertEquals(world.handler.takeCalls(), []);
});
