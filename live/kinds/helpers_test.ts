/**
 * What the tests of this folder share. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import type { Side } from "../helpers_test.ts";
import type { Carrier } from "../port.ts";
import type { Resources } from "../resources.ts";

/** The part of a life that a kind needs: its taps open when the test says so, as at `ready()`. */
export class Taps {
  readonly resources: Resources;
  readonly all: Carrier[] = [];

  constructor(side: Side) {
    this.resources = side.resources;
  }

  addPort(port: Carrier): void {
    this.all.push(port);
  }

  removePort(port: Carrier): void {
    this.all.splice(this.all.indexOf(port), 1);
  }

  open(): void {
    for (const port of this.all) port.open();
  }
}
