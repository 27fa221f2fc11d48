import { assertEquals, assertThrows } from "@std/assert";

import { decodeStates, encodeStates } from "../kho/abi/live.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../kho/codec.ts";
import { HandoverError } from "../kho/errors.ts";
import { assertLuoError } from "./helpers_test.ts";
import { States, type StateValue } from "./states.ts";

/** States in which one value arrived. */
function arrived(name: string, version: number, value: CborValue): States {
  return new States(encodeStates([{ name, version, value: encodeCbor(value, { floats: true }) }]));
}

/** What comes of a value on its way through save and load. */
function carry(value: StateValue): StateValue {
  const old = new States(null);
  old.add("x", { version: 1, save: () => value, load: () => {} });
  let loaded: StateValue = "not loaded";
  new States(old.save()).add("x", { version: 1, save: () => null, load: (back) => void (loaded = back) });
  return loaded;
}

const VALUES: [name: string, value: StateValue][] = [
  ["null", null],
  ["text", "Grüße 🦉"],
  ["an integer", 42],
  ["a negative integer", -1],
  ["the largest safe integer", Number.MAX_SAFE_INTEGER],
  ["a float", 0.1],
  ["a short float", 1.5],
  ["a huge float", 1e300],
  ["a float that is whole and not safe", 2 ** 60],
  ["a bigint of 64 bits", (1n << 64n) - 1n],
  ["a negative bigint of 64 bits", -(1n << 63n)],
  ["bytes", new Uint8Array([0, 255])],
  ["nothing in it", {}],
  ["a tree", { list: [1, [2.5, { deep: true }]], text: "", none: null }],
];

for (const [name, value] of VALUES) {
  Deno.test(`States carry ${name}`, () => assertEquals(carry(value), value));
}

Deno.test("States.add() loads what arrived before it returns, with its version", () => {
  const states = arrived("seen", 2, ["a"]);
  const loads: unknown[] = [];
  states.add("seen", {
    version: 3,
    save: () => null,
    load: (value, version) => void loads.push(value, version),
  });
  assertEquals(loads, [["a"], 2]);
  assertEquals(states.unclaimed(), []);
});

Deno.test("States.add() calls no load where nothing arrived", () => {
  let loads = 0;
  const options = { version: 1, save: () => 1, load: () => void loads++ };
  new States(null).add("seen", options);
  arrived("other", 1, 1).add("seen", options);
  assertEquals(loads, 0);
});

for (
  const [name, version, options] of [
    ["a newer version than it writes", 3, { version: 2 }],
    ["a version below its range", 1, { version: 3, reads: [2, 3] }],
    ["a version above its range", 4, { version: 3, reads: [2, 3] }],
  ] as const
) {
  Deno.test(`States.add() refuses ${name}`, () => {
    const states = arrived("seen", version, 1);
    let loads = 0;
    const [lowest, highest] = "reads" in options ? options.reads : [1, options.version];
    assertLuoError(
      () => states.add("seen", { ...options, save: () => 1, load: () => void loads++ }),
      "EOPNOTSUPP",
      `Cannot load state "seen": it has version ${version}, this build reads ${lowest} to ${highest}`,
    );
    assertEquals([loads, states.unclaimed()], [0, ["seen"]]);
  });
}

Deno.test("States.add() reads versions that `reads` names, newer ones than it writes too", () => {
  const versions: number[] = [];
  for (const version of [2, 3, 5]) {
    arrived("seen", version, 1).add("seen", {
      version: 3,
      reads: [2, 5],
      save: () => 1,
      load: (_value, version) => void versions.push(version),
    });
  }
  assertEquals(versions, [2, 3, 5]);
});

Deno.test("States.add() throws what load throws, and the state is not declared", () => {
  const states = arrived("seen", 1, 1);
  const options = (load: () => void) => ({ version: 1, save: () => 1, load });
  assertThrows(
    () =>
      states.add(
        "seen",
        options(() => {
          throw new RangeError("too old");
        }),
      ),
    RangeError,
    "too old",
  );
  assertEquals(states.unclaimed(), ["seen"]);
  states.add("seen", options(() => {}));
  assertEquals(states.unclaimed(), []);
});

Deno.test("States.add() refuses bad names, bad versions and names in use", () => {
  const states = new States(null);
  const options = { version: 1, save: () => 1, load: () => {} };
  for (const name of ["", "x".repeat(64), "é".repeat(32), "a\ud800"]) {
    assertLuoError(() => states.add(name, options), "EINVAL", "1 to 63 bytes");
  }
  for (const version of [0, -1, 1.5, NaN, Infinity]) {
    assertLuoError(() => states.add("x", { ...options, version }), "EINVAL", `version ${version} is no`);
  }
  states.add("x".repeat(63), options);
  assertLuoError(() => states.add("x".repeat(63), options), "EEXIST", "the name is in use");
});

Deno.test("States.keep() carries a state on as it is, and its name is in use", () => {
  const states = arrived("seen", 7, ["a"]);
  assertEquals([states.keep("seen"), states.keep("seen"), states.keep("other")], [true, false, false]);
  assertLuoError(
    () => states.add("seen", { version: 7, save: () => 1, load: () => {} }),
    "EEXIST",
    "the name is in use",
  );
  assertEquals(states.unclaimed(), []);
  const [record, ...more] = decodeStates(states.save());
  assertEquals(more, []);
  assertEquals([record?.name, record?.version], ["seen", 7]);
  assertEquals(decodeCbor(record?.value ?? new Uint8Array()), ["a"]);
});

Deno.test("States.forgetUnclaimed() drops what nobody declared", () => {
  const states = arrived("seen", 1, 1);
  assertEquals(decodeStates(states.save()), []);
  states.forgetUnclaimed();
  assertEquals(states.unclaimed(), []);
  let loads = 0;
  states.add("seen", { version: 1, save: () => 1, load: () => void loads++ });
  assertEquals(loads, 0);
});

for (
  const [name, value, reason] of [
    ["a function", { a: [1, () => 1] }, "$.a[1]: it is of type function"],
    ["undefined", { gone: undefined }, "$.gone: it is of type undefined"],
    ["a Map", { map: new Map() }, "$.map: a Map is not a plain value"],
    ["NaN", [NaN], "$[0]: NaN is not a finite number"],
    ["an integer beyond 64 bits", { n: 1n << 64n }, "$.n: 18446744073709551616 does not fit"],
    ["half a surrogate pair", ["\ud800"], "$[0]: the text has a lone surrogate"],
  ] as const
) {
  Deno.test(`States.save() refuses ${name} and names the place`, () => {
    const states = new States(null);
    states.add("seen", { version: 1, save: () => value as unknown as StateValue, load: () => {} });
    assertThrows(() => states.save(), TypeError, `Cannot save state "seen": Cannot encode ${reason}`);
  });
}

Deno.test("States.save() throws what save throws, and can be called again", () => {
  let broken = true;
  const states = new States(null);
  const save = (): number => {
    if (broken) throw new Deno.errors.Busy("not now");
    return 5;
  };
  states.add("seen", { version: 2, save, load: () => {} });
  assertThrows(() => states.save(), Deno.errors.Busy, "not now");
  broken = false;
  assertEquals(decodeStates(states.save()), [{ name: "seen", version: 2, value: encodeCbor(5) }]);
});

Deno.test("States refuse a subtree that is none", () => {
  assertThrows(() => new States(new Uint8Array([1])), HandoverError);
  assertThrows(() => new States(encodeCbor({ compatible: "live-v9", states: [] })), HandoverError, "live-v9");
});
