import { assert, assertEquals } from "@std/assert";

import { runScriptForJson } from "../../sys/helpers_test.ts";
import { orderMoves } from "./place.ts";

type Moves = [from: number, to: number][];

/** Plays the steps on a table of numbers, and asserts that every content ends where it belongs. */
function assertPlaced(moves: Moves): void {
  const table = new Map<number, string>(moves.map(([from]) => [from, `from ${from}`]));
  let waiting: string | undefined;
  const steps = orderMoves(moves);
  for (const { from, to } of steps) {
    const content = from === null ? waiting : table.get(from);
    if (content === undefined) throw new Error(`Cannot move ${from}: nothing is there`);
    if (to === null) {
      assertEquals(waiting, undefined, "two wait at once");
      waiting = content;
    } else {
      table.set(to, content);
    }
    if (from === null) waiting = undefined;
  }
  assertEquals(waiting, undefined, "one waits for ever");
  for (const [from, to] of moves) assertEquals(table.get(to), `from ${from}`, JSON.stringify(moves));
  const needed = moves.filter(([from, to]) => from !== to).length;
  assert(steps.length <= needed + needed / 2, `${steps.length} steps for ${needed} moves`);
}

Deno.test("orderMoves() moves what stands in the way first, and one of each circle aside", () => {
  assertEquals(orderMoves([]), []);
  assertEquals(orderMoves([[5, 5]]), []);
  assertEquals(orderMoves([[10, 3], [11, 4]]), [{ from: 10, to: 3 }, { from: 11, to: 4 }]);
  assertEquals(orderMoves([[3, 4], [4, 5]]), [{ from: 4, to: 5 }, { from: 3, to: 4 }]);
  assertEquals(orderMoves([[4, 5], [3, 4]]), [{ from: 4, to: 5 }, { from: 3, to: 4 }]);
  assertEquals(orderMoves([[3, 4], [4, 3]]), [
    { from: 3, to: null },
    { from: 4, to: 3 },
    { from: null, to: 4 },
  ]);
});

Deno.test("orderMoves() places any numbers onto any others", () => {
  let state = 99;
  const random = (below: number): number => (state = (state * 1103515245 + 12345) & 0x7fffffff) % below;
  const shuffled = (count: number, from: number): number[] => {
    const numbers = Array.from({ length: count }, (_, index) => from + index);
    for (let at = count - 1; at > 0; at--) {
      const other = random(at + 1);
      [numbers[at], numbers[other]] = [numbers[other] as number, numbers[at] as number];
    }
    return numbers;
  };
  for (let round = 0; round < 500; round++) {
    const count = random(30);
    const overlap = random(40);
    const to = shuffled(count, 3 + overlap);
    assertPlaced(shuffled(count, 3).map((from, index) => [from, to[index] as number]));
  }
});

Deno.test("placeFds() puts descriptors onto their numbers, close-on-exec", async () => {
  const script = `
    const { placeFds } = await import(${JSON.stringify(import.meta.resolve("./place.ts"))});
    const fds = Array.from({ length: 6 }, (_, i) => sys.createMemfd("m" + i).dup(100 + i).release());
    const taken = sys.createMemfd("taken").dup(200).release();
    const before = sys.listFds().length;
    placeFds([[100, 101], [101, 102], [102, 100], [103, 104], [104, 103], [105, taken], [200, 300]]);
    say([100, 101, 102, 103, 104, taken, 300].map((fd) => [sys.fdLink(fd).slice(7, 9), sys.getCloexec(fd)]));
    say(sys.listFds().length - before);
  `;
  const names = ["m2", "m0", "m1", "m4", "m3", "m5", "ta"];
  // 300, and one for each circle.
  assertEquals(await runScriptForJson(script), [names.map((name) => [name, true]), 3]);
});
