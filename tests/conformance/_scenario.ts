/**
 * Scenarios: what a file in the format of the kernel's measurements holds, checked member by member.
 *
 * Happy path: {@linkcode readScenarios} gives the scenarios of a file; {@linkcode Args} gives the arguments of a step, in
 * whatever form they are written (numbers may be decimal, hexadecimal or octal strings).
 *
 * Unhappy paths: a file that cannot be read or is no such file is a {@linkcode ScenarioError} that names the file and the
 * place; an argument that a step needs and does not have is one too.
 *
 * @module
 */
import { decodeText } from "./_encoding.ts";

/** What was answered to a step: `ok` or `errno`, and whatever else was told. */
export interface Answer {
  /** It worked. */
  ok?: boolean;
  /** It did not, and this is why. */
  errno?: string;
  /** Results. */
  [member: string]: string | number | boolean | undefined;
}

/** One step. */
export interface Step {
  /** The operation. */
  op: string;
  /** Its arguments. */
  args: Args;
  /** What the kernel answered. */
  expect: Answer;
  /** In which process it runs; null is the one of all other steps. */
  process: string | null;
}

/** One scenario. */
export interface Scenario {
  /** Its name. */
  name: string;
  /** Its steps. */
  steps: Step[];
}

/** A file or a step that is not what it should be. */
export class ScenarioError extends Error {
  /** Name of the class. */
  override readonly name = "ScenarioError";
}

/** The arguments of a step. */
export class Args {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @param values the object of the file */
  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** Is there an argument of that name? */
  has(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== null;
  }

  /** An argument as it is written: a string or a number. */
  raw(name: string): string | number {
    const value = this.#values[name];
    if (typeof value === "string" || typeof value === "number") return value;
    if (typeof value === "boolean") return Number(value);
    throw new ScenarioError(`argument "${name}" is missing or neither text nor a number`);
  }

  /** A name of a variable, or of a kind. */
  text(name: string): string {
    return String(this.raw(name));
  }

  /** %xx-encoded bytes; none if absent. */
  bytes(name: string): Uint8Array<ArrayBuffer> {
    return this.has(name) ? decodeText(this.text(name)) : new Uint8Array(0);
  }

  /** A whole number. */
  number(name: string, absent?: number): number {
    if (!this.has(name) && absent !== undefined) return absent;
    return Number(this.big(name));
  }

  /** A whole number of any size. */
  big(name: string): bigint {
    const value = this.raw(name);
    const text = String(value).trim();
    const sign = text.startsWith("-") ? -1n : 1n;
    const digits = text.replace(/^[-+]/, "");
    try {
      // As strtoull(3) with base 0: a leading zero means octal.
      return sign * BigInt(/^0\d+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
    } catch {
      throw new ScenarioError(`argument "${name}" is no whole number: ${JSON.stringify(value)}`);
    }
  }

  /** The arguments as they are written. */
  toJSON(): Readonly<Record<string, unknown>> {
    return this.#values;
  }
}

/**
 * Reads a file of scenarios.
 *
 * @param path the file
 * @returns its scenarios, in their order
 * @throws {ScenarioError} a file that cannot be read, is not JSON, or holds something else
 */
export function readScenarios(path: string): Scenario[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    throw new ScenarioError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text, exactNumber as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw new ScenarioError(
      `Cannot read ${path}: not JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (!Array.isArray(value)) {
    throw new ScenarioError(`Cannot read ${path}: not a list of scenarios, [{"name", "steps"}, ...]`);
  }
  return value.map((each, at) => parseScenario(each, `Cannot read ${path}: scenario ${at}`));
}

/** A number that a double cannot hold stays as it is written: tokens have 64 bits. */
function exactNumber(_key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  return typeof value === "number" && !Number.isSafeInteger(value) ? source ?? value : value;
}

/**
 * Reads one scenario.
 *
 * @param value what is in the file
 * @param where how an error begins
 * @throws {ScenarioError}
 */
export function parseScenario(value: unknown, where: string): Scenario {
  if (!isObject(value)) throw new ScenarioError(`${where} is not an object`);
  const { name, steps } = value;
  if (typeof name !== "string" || name === "") throw new ScenarioError(`${where} has no name`);
  if (!Array.isArray(steps)) throw new ScenarioError(`${where} (${name}) has no list of steps`);
  return { name, steps: steps.map((step, at) => parseStep(step, `${where} (${name}): step ${at}`)) };
}

function parseStep(value: unknown, where: string): Step {
  if (!isObject(value)) throw new ScenarioError(`${where} is not an object`);
  const { op, args = {}, expect, process = null } = value;
  if (typeof op !== "string") throw new ScenarioError(`${where} has no "op"`);
  if (!isObject(args)) throw new ScenarioError(`${where}: "args" is not an object`);
  if (!isObject(expect) || (expect["ok"] !== true && typeof expect["errno"] !== "string")) {
    throw new ScenarioError(`${where}: "expect" has neither "ok": true nor "errno"`);
  }
  if (process !== null && typeof process !== "string") {
    throw new ScenarioError(`${where}: "process" is not a name`);
  }
  return { op, args: new Args(args), expect: expect as Answer, process };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
