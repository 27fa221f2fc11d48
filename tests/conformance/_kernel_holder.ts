/**
 * Preserves a memfd, closes its own descriptor, says `ready`, and then does nothing until its standard input ends. Its argument is the
 * name of the memfd.
 *
 * Happy path: somebody kills it.
 *
 * Unhappy path: whoever started it is gone: its standard input ends, and so does it.
 *
 * @module
 */
import { Device } from "../../mod.ts";
import { memfdOf } from "./_kernel_kit.ts";

const device = Device.open();
const session = device.createSession("held");
{
  using memory = memfdOf("held", Deno.args[0]);
  session.preserveFd(memory, 1n);
}
console.log("ready");
await Deno.stdin.readable.pipeTo(new WritableStream());
