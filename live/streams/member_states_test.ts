import { assertEquals, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import { MemberStates } from "./member_states.ts";

Deno.test("a state crosses as it is, or through load", () => {
  const plain = new MemberStates<{ user: string; seen: number; ratio: number }>("feed", {});
  const state = { user: "ada", seen: 7, ratio: 0.5 };
  const about = plain.save(state, "");
  assertEquals([about.version, plain.load(about, "")], [1, state]);
  const loading = new MemberStates<string>("feed", {
    version: 2,
    load: (value, version) => `${JSON.stringify(value)} of ${version}`,
  });
  assertEquals(loading.load(about, ""), '{"seen":7,"user":"ada","ratio":0.5} of 1');
});

Deno.test("no state is none on the other side, whatever load says", () => {
  const states = new MemberStates<undefined>("feed", {
    load: () => {
      throw new Error("there is nothing to load");
    },
  });
  const about = states.save(undefined, "");
  assertEquals([about.state, states.load(about, ""), states.load(null, "")], [null, undefined, undefined]);
});

Deno.test("a state without a saved form names its channel, its connection and the place", () => {
  const states = new MemberStates<unknown>("feed", {});
  const error = assertThrows(() => states.save({ a: [() => {}] }, "::1 port 5"), TypeError);
  assertEquals(
    error.message.startsWith('Cannot save the state of a connection of "feed" (::1 port 5): '),
    true,
  );
});

Deno.test("a version that is not read is refused by name, and what load throws comes through", () => {
  const about = new MemberStates<number>("feed", { version: 3 }).save(1, "");
  const older = new MemberStates<number>("feed", { version: 2 });
  const error = assertThrows(() => older.load(about, ""), LuoError, "version 3, this build reads 1 to 2");
  assertEquals(error.code, "EOPNOTSUPP");
  assertEquals(new MemberStates<number>("feed", { version: 2, reads: [3, 3] }).load(about, ""), 1);
  const failing = new MemberStates<number>("feed", {
    version: 3,
    load: () => {
      throw new RangeError("too old");
    },
  });
  assertThrows(() => failing.load(about, ""), RangeError, "too old");
});

Deno.test("a version is a positive integer", () => {
  for (const version of [0, -1, 1.5, NaN, 2 ** 31]) {
    assertEquals(assertThrows(() => new MemberStates("feed", { version }), LuoError).code, "EINVAL");
  }
});
