import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

import type { Connections } from "./http/connections.ts";
import type { Leavers } from "./http/uncarried.ts";
import { checkRefusals, partPolitely, settle } from "./settle.ts";
import { Channel, type OverduePolicy } from "./port.ts";
import { Tap } from "./streams/tap.ts";

/** Connections of which the test says what they owe. */
class Owing implements Connections {
  readonly size = 0;
  owing: number;
  readonly uncarried: Leavers | null;
  #change = Promise.withResolvers<void>();

  constructor(owing: number, uncarried: Partial<Leavers> | null = null) {
    this.owing = owing;
    this.uncarried = uncarried &&
      { begin() {}, refusing: () => 0, part: () => Promise.resolve(), ...uncarried };
  }

  answer(): void {
    this.owing--;
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  pause(): void {}
  resume(): void {}
  settled(): Promise<void> {
    return this.#change.promise;
  }
  stalledSinceNs(): null {
    return null;
  }
  closeOwing(): number {
    const { owing } = this;
    this.owing = 0;
    return owing;
  }
  takeDescriptors(): never[] {
    return [];
  }
  adopt(): void {}
}

function carrier(name: string, connections: Connections, overdue: OverduePolicy = "refuse"): Channel {
  return new Channel(name, connections, [], { overdue });
}

const SOON = (): number => Date.now() + 60;
const LATE = (): number => Date.now() + 60_000;

Deno.test("settle() waits for answers, and cuts nobody off", async () => {
  const owing = new Owing(2);
  const settled = settle([carrier("a", owing), carrier("b", new Owing(0))], LATE());
  owing.answer();
  await Promise.resolve();
  owing.answer();
  assertEquals(await settled, 0);
});

Deno.test("settle() cuts off who is late where that is the policy, and counts those of the application", async () => {
  const ports = [
    carrier("web", new Owing(2), "close"),
    carrier("other", new Owing(1), "close"),
    carrier("@control", new Owing(4), "close"),
  ];
  assertEquals(await settle(ports, SOON()), 3);
});

Deno.test("settle() throws who is late where the update is to be refused", async () => {
  await assertRejects(
    () => settle([carrier("web", new Owing(2))], SOON()),
    Error,
    'Cannot update: 2 connections of server "web" still owe an answer',
  );
});

/** A tap whose handlers never end. */
class Stuck extends Tap {
  constructor(name: string, handlers: number) {
    super(name, "refuse");
    for (let count = 0; count < handlers; count++) this.await(new Promise(() => {}));
  }

  open(): void {}
  close(): void {}
  protected receive(): boolean {
    return false;
  }
}

Deno.test("settle() says what is not done: of one, of several, and of what is no server", async () => {
  const cases = [
    [carrier("web", new Owing(1)), 'Cannot update: 1 connection of server "web" still owes an answer'],
    [new Stuck("dns", 1), 'Cannot update: 1 handler of "dns" is not done'],
    [new Stuck("dns", 3), 'Cannot update: 3 handlers of "dns" are not done'],
  ] as const;
  for (const [port, message] of cases) {
    const error = await assertRejects(() => settle([port], SOON()), Error);
    assertEquals(error.message, message);
  }
});

Deno.test("checkRefusals() names the server and how many", () => {
  checkRefusals([carrier("a", new Owing(3)), carrier("b", new Owing(3, {}))]);
  for (const [count, text] of [[1, "1 connection of"], [2, "2 connections of"]] as const) {
    const ports = [carrier("a", new Owing(0)), carrier("db", new Owing(0, { refusing: () => count }))];
    const error = assertThrows(() => checkRefusals(ports), Error, `Cannot update: ${text} server "db"`);
    assert(error.message.includes("refuse"), error.message);
  }
  const fails = (): never => {
    throw new RangeError("no idea");
  };
  assertThrows(
    () => checkRefusals([carrier("db", new Owing(0, { refusing: fails }))]),
    Error,
    'what becomes of a connection of server "db" is not known: no idea',
  );
});

Deno.test("partPolitely() ends nobody where somebody refuses", async () => {
  const parted: string[] = [];
  const leavers = (name: string, refusing = 0): Partial<Leavers> => ({
    refusing: () => refusing,
    part: (_deadline, ended) => {
      parted.push(name);
      ended();
      return Promise.resolve();
    },
  });
  let ended = 0;
  const count = (): number => ended++;
  const two = [carrier("a", new Owing(0, leavers("a"))), carrier("b", new Owing(0, leavers("b")))];
  await partPolitely([...two, carrier("c", new Owing(0))], LATE(), count);
  assertEquals([parted, ended], [["a", "b"], 2]);
  await assertRejects(
    () => partPolitely([two[0]!, carrier("c", new Owing(0, leavers("c", 1)))], LATE(), count),
    Error,
    "is open and refuses it",
  );
  assertEquals([parted, ended], [["a", "b"], 2]);
});

Deno.test("partPolitely() finds who came to refuse while the others left", async () => {
  let refusing = 0;
  const port = carrier(
    "a",
    new Owing(0, { refusing: () => refusing, part: () => Promise.resolve(void refusing++) }),
  );
  await assertRejects(() => partPolitely([port], LATE(), () => {}), Error, "1 connection of server");
});
