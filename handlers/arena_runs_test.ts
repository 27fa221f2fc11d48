import { assertEquals, assertThrows } from "@std/assert";
import { Runs } from "./arena_runs.ts";

function runsOf(...runs: [start: number, end: number][]): Runs {
  const all = new Runs();
  for (const [start, end] of runs) all.give(start, end - start);
  return all;
}

function pairs(runs: Runs): [number, number][] {
  return runs.list().map(({ start, end }) => [start, end]);
}

Deno.test("Runs takes from the first run that is long enough", () => {
  const runs = runsOf([0, 2], [4, 9], [20, 40]);
  assertEquals(runs.units, 27);
  assertEquals(runs.take(3), 4);
  assertEquals(runs.take(2), 0);
  assertEquals(runs.take(3), 20);
  assertEquals(runs.take(2), 7);
  assertEquals(runs.take(18), null);
  assertEquals(pairs(runs), [[23, 40]]);
});

Deno.test("Runs joins what touches", () => {
  const runs = runsOf([10, 20], [30, 40]);
  runs.give(20, 5);
  assertEquals(pairs(runs), [[10, 25], [30, 40]]);
  runs.give(28, 2);
  assertEquals(pairs(runs), [[10, 25], [28, 40]]);
  runs.give(25, 3);
  assertEquals(pairs(runs), [[10, 40]]);
});

Deno.test("Runs takes a given place only as a whole", () => {
  const runs = runsOf([10, 20], [30, 40]);
  for (const [start, units] of [[9, 2], [19, 2], [20, 1], [25, 20], [0, 1], [40, 1], [10, 30]] as const) {
    assertEquals(runs.takeAt(start, units), false, `${start}+${units}`);
  }
  assertEquals(runs.takeAt(12, 3), true);
  assertEquals(runs.takeAt(30, 2), true);
  assertEquals(runs.takeAt(38, 2), true);
  assertEquals(runs.takeAt(15, 5), true);
  assertEquals(pairs(runs), [[10, 12], [32, 38]]);
});

Deno.test("Runs refuses what is there already", () => {
  const runs = runsOf([10, 20]);
  for (const [start, units] of [[10, 1], [19, 1], [5, 6], [0, 100]] as const) {
    assertThrows(() => runs.give(start, units), RangeError, "free already");
  }
  assertEquals(pairs(runs), [[10, 20]]);
});

Deno.test("Runs agrees with a list of units, whatever is done to it", () => {
  let seed = 7;
  const random = (below: number): number => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
  const units = 200;
  const runs = runsOf([0, units]);
  const free = new Array<boolean>(units).fill(true);
  const taken: [number, number][] = [];
  for (let step = 0; step < 5000; step++) {
    const length = 1 + random(12);
    if (random(2) === 0) {
      const expected = free.findIndex((_, at) =>
        at + length <= units && free.slice(at, at + length).every(Boolean)
      );
      const got = runs.take(length);
      assertEquals(got ?? -1, expected);
      if (got === null) continue;
      free.fill(false, got, got + length);
      taken.push([got, length]);
    } else if (taken.length > 0) {
      const [[start, count] = [0, 0]] = taken.splice(random(taken.length), 1);
      runs.give(start, count);
      free.fill(true, start, start + count);
    }
    assertEquals(runs.units, free.filter(Boolean).length);
  }
});
