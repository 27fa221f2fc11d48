/**
 * Which parts of an arena are free: disjoint runs of units, given out first fit.
 *
 * Happy path: `take` a number of units from the first run that is long enough, `give` them back; neighbours become one
 * run again.
 *
 * Unhappy paths: no run is long enough: null. Units that are taken already, or given back twice: `takeAt` says no, `give`
 * throws, for then somebody's account is wrong.
 *
 * @module
 */

/** A run of units, the end excluded. */
export interface Run {
  /** Its first unit. */
  start: number;
  /** The unit behind its last. */
  end: number;
}

/** A set of disjoint runs, in ascending order, no two of which touch. */
export class Runs {
  readonly #runs: Run[] = [];

  /** How many units there are in all runs. */
  get units(): number {
    return this.#runs.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** The runs, in ascending order. */
  list(): Run[] {
    return this.#runs.map((run) => ({ ...run }));
  }

  /**
   * Takes units from the first run that has enough of them.
   *
   * @returns the first unit, or null
   */
  take(units: number): number | null {
    const index = this.#runs.findIndex(({ start, end }) => end - start >= units);
    const run = this.#runs[index];
    if (run === undefined) return null;
    const { start } = run;
    run.start += units;
    if (run.start === run.end) this.#runs.splice(index, 1);
    return start;
  }

  /**
   * Takes just these units.
   *
   * @returns false when one of them is not there; nothing is taken then
   */
  takeAt(start: number, units: number): boolean {
    const index = this.#after(start) - 1;
    const run = this.#runs[index];
    const end = start + units;
    if (run === undefined || run.end < end) return false;
    const rest = [{ start: run.start, end: start }, { start: end, end: run.end }];
    this.#runs.splice(index, 1, ...rest.filter((part) => part.start < part.end));
    return true;
  }

  /**
   * Adds units.
   *
   * @throws {RangeError} when one of them is there already
   */
  give(start: number, units: number): void {
    const next = this.#after(start);
    const before = this.#runs[next - 1];
    const behind = this.#runs[next];
    const end = start + units;
    if ((before !== undefined && before.end > start) || (behind !== undefined && behind.start < end)) {
      throw new RangeError(`Cannot give units ${start} to ${end}: they are free already`);
    }
    const joinsBefore = before?.end === start;
    const joinsBehind = behind?.start === end;
    const merged = {
      start: joinsBefore ? before.start : start,
      end: joinsBehind ? behind.end : end,
    };
    this.#runs.splice(next - Number(joinsBefore), Number(joinsBefore) + Number(joinsBehind), merged);
  }

  /** The index of the first run that begins behind a unit. */
  #after(unit: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#runs[middle]?.start ?? 0) <= unit) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
