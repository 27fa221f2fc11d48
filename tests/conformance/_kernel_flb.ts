/**
 * The three FLBs of the kernel's own test (`lib/tests/liveupdate.c`), with its names and numbers.
 *
 * Happy path: `const flbs = testFlbs();` then {@linkcode registerEverywhere}. What crosses is the kernel's number and the
 * index of the FLB; `retrieve` must find exactly that, and `finish` the object that `retrieve` made of it.
 *
 * Unhappy paths: another number is `EINVAL`; `finish` of another object is written down as `finish WRONG`.
 *
 * @module
 */
import { registerBuiltins } from "../../handlers/mod.ts";
import type { HandlerRegistry } from "../../luo/handler.ts";
import {
  type FileHandler,
  type Flb,
  type FlbIncomingArgs,
  type FlbOutgoingArgs,
  LuoError,
  registerFlb,
} from "../../mod.ts";

/** What the FLB of index 0 carries. */
export const MAGIC_BASE = 0xFEEDF00DCAFEBEE0n;

/** One of the three. */
export class TestFlb implements Flb<bigint> {
  /** Its name. */
  readonly compatible: string;
  /** What it carries. */
  readonly magic: bigint;
  readonly #index: number;
  readonly #calls: string[];

  /**
   * @param index 0, 1 or 2
   * @param calls where calls are written down, as `operation index`
   * @param base what index 0 carries
   */
  constructor(index: number, calls: string[], base = MAGIC_BASE) {
    this.compatible = `liveupdate-test-flb-v${index}`;
    this.magic = base + BigInt(index);
    this.#index = index;
    this.#calls = calls;
  }

  preserve(args: FlbOutgoingArgs<bigint>): void {
    this.#calls.push(`preserve ${this.#index}`);
    // The object stays empty.
    args.data = this.magic;
  }

  unpreserve(args: FlbOutgoingArgs<bigint>): void {
    const right = args.data === this.magic && args.object === null;
    this.#calls.push(`unpreserve ${right ? this.#index : "WRONG"}`);
  }

  retrieve(args: FlbIncomingArgs<bigint>): void {
    this.#calls.push(`retrieve ${this.#index}`);
    if (args.data !== this.magic) {
      throw new LuoError("EINVAL", `Cannot retrieve test FLB ${this.#index}: it carries ${args.data}`);
    }
    args.object = args.data;
  }

  finish(args: FlbIncomingArgs<bigint>): void {
    this.#calls.push(`finish ${args.object === this.magic ? this.#index : "WRONG"}`);
  }
}

/** The three, and what was called since the last time. */
export interface TestFlbs {
  /** By index. */
  all: readonly [TestFlb, TestFlb, TestFlb];
  /** The calls since the last time. */
  takeCalls(): string[];
}

/** Makes them. */
export function testFlbs(base = MAGIC_BASE): TestFlbs {
  const calls: string[] = [];
  const make = (index: number): TestFlb => new TestFlb(index, calls, base);
  return { all: [make(0), make(1), make(2)], takeCalls: () => calls.splice(0) };
}

/** All handlers that every process has. */
export function builtinHandlers(): FileHandler[] {
  const handlers: FileHandler[] = [];
  registerBuiltins({ register: (handler: FileHandler) => void handlers.push(handler) } as HandlerRegistry);
  return handlers;
}

/** Makes the files of all built-in handlers depend on all three. */
export function registerEverywhere({ all }: TestFlbs): void {
  for (const handler of builtinHandlers()) all.forEach((flb) => registerFlb(handler, flb));
}
